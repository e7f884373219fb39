"""`multiprocessing.popen_spawn_posix`: starting a process in a fresh interpreter.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import popen_spawn_posix as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.popen_spawn_posix import *  # noqa: F403

_replace(__name__, _stdlib)
