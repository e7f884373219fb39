"""`multiprocessing.process`: `BaseProcess`, and which process this is.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import process as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.process import *  # noqa: F403

_replace(__name__, _stdlib)
