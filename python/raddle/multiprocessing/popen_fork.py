"""`multiprocessing.popen_fork`: starting a process by fork.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import popen_fork as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.popen_fork import *  # noqa: F403

_replace(__name__, _stdlib)
