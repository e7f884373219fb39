"""Hands what worker processes need to the native half, once, when the first executor of processes is wanted.

Not with the others (`raddle._internal.bound`): they bring multiprocessing along.
"""

from concurrent.futures.process import BrokenProcessPool

from raddle import _raddle
from raddle._internal import bound  # noqa: F401  (the others come first)
from raddle._internal.processes.errors import NotDeserializable, WorkerDied

_raddle.bind_processes(BrokenProcessPool, WorkerDied, NotDeserializable)
