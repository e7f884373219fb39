"""`multiprocessing.reduction`: how objects are pickled on their way to another process.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import reduction as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.reduction import *  # noqa: F403

_replace(__name__, _stdlib)
