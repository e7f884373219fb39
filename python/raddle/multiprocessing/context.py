"""`multiprocessing.context`, with Raddle's contexts."""

from multiprocessing import context as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.multiprocessing.contexts import (
    DefaultContext,
    ForkContext,
    ForkServerContext,
    SpawnContext,
)
from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.context import *  # noqa: F403
else:
    from raddle._internal.multiprocessing.contexts import CONTEXTS as _concrete_contexts  # noqa: F401, N811
    from raddle._internal.multiprocessing.contexts import DEFAULT as _default_context  # noqa: F401, N811

__all__ = ["DefaultContext", "ForkContext", "ForkServerContext", "SpawnContext"]
if not TYPE_CHECKING:
    _replace(__name__, _stdlib)
