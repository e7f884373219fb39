"""`multiprocessing.managers`, over Raddle's connections."""

from multiprocessing import managers as _stdlib
from multiprocessing.managers import BaseProxy, Token
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.manager_classes import BaseManager, SharedMemoryManager, SyncManager
from raddle._internal.replacement import replace as _replace

__all__ = ["BaseManager", "BaseProxy", "SharedMemoryManager", "SyncManager", "Token"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
