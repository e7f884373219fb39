"""`multiprocessing.resource_tracker`: the process that removes what crashed programs leave behind.

All of it is the stdlib's own, its state included.
"""

from multiprocessing import resource_tracker as _stdlib
from typing import TYPE_CHECKING

from raddle._internal.replacement import replace as _replace

if TYPE_CHECKING:
    from multiprocessing.resource_tracker import *  # noqa: F403

_replace(__name__, _stdlib)
