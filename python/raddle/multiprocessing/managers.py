"""`multiprocessing.managers`: objects in a process of their own, and proxies for them."""

from multiprocessing import managers as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.managers import *  # noqa: F403

_replace(__name__, _stdlib)
