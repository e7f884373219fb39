"""Hands what is defined in Python to the native half, once, when `raddle.multiprocessing` is imported."""

from __future__ import annotations

import sys
from pickle import dumps, loads
from queue import Empty, Full

from raddle import _raddle
from raddle._internal import bound as _bound
from raddle._internal.errors import OwnerDied
from raddle._internal.multiprocessing.pickling import dump

__all__ = ["Empty", "Full", "OwnerDied", "dump", "dumps", "loads"]

assert _bound is not None  # what every native wait needs has been handed over too

_raddle.bind_multiprocessing(sys.modules[__name__])
