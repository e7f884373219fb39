"""`multiprocessing.popen_forkserver`: starting a process through the fork server.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import popen_forkserver as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.popen_forkserver import *  # noqa: F403

_replace(__name__, _stdlib)
