"""`multiprocessing.dummy`: the same interface on threads.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import dummy as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace
from raddle.multiprocessing.dummy import connection as connection

if TYPE_CHECKING:
    from multiprocessing.dummy import *  # noqa: F403

_replace(__name__, _stdlib)
