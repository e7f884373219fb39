"""`multiprocessing.shared_memory`: named blocks, which those who only open them do not remove."""

from multiprocessing import shared_memory as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.shared_blocks import ShareableList, SharedMemory
from raddle._internal.replacement import replace as _replace

__all__ = ["ShareableList", "SharedMemory"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
