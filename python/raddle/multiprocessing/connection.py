"""`multiprocessing.connection`: the ends of pipes and sockets."""

from multiprocessing import connection as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.connection import *  # noqa: F403

_replace(__name__, _stdlib)
