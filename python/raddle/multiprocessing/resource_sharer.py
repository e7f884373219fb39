"""`multiprocessing.resource_sharer`: descriptors that another process may come and fetch.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import resource_sharer as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.resource_sharer import *  # noqa: F403

_replace(__name__, _stdlib)
