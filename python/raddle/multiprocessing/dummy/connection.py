"""`multiprocessing.dummy.connection`: a pipe between threads.

All of it is the stdlib's own, its state included.
"""

from multiprocessing.dummy import connection as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.dummy.connection import *  # noqa: F403

_replace(__name__, _stdlib)
