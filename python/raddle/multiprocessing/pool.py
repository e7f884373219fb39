"""`multiprocessing.pool`: pools of processes, which a killed worker does not hang, and of threads."""

from multiprocessing import pool as _stdlib
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.pools import Pool
from raddle._internal.replacement import replace as _replace

__all__ = ["Pool", "ThreadPool"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
