"""`multiprocessing.util`: finalizers, logging, and what runs after a fork.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import util as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.util import *  # noqa: F403

_replace(__name__, _stdlib)
