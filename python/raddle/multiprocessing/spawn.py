"""`multiprocessing.spawn`: the main module of a process that starts in a fresh interpreter.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import spawn as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.spawn import *  # noqa: F403

_replace(__name__, _stdlib)
