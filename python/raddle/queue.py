"""Everything that `queue` exports, on Raddle's queues: for threads and coroutines at once.

`from raddle import queue` in place of `import queue` is the whole migration.
"""

import queue as _queue

from raddle._internal.queue_errors import Empty, Full, ShutDown
from raddle._internal.queues import LifoQueue, PriorityQueue, Queue, SimpleQueue
from raddle._internal.replacement import replace as _replace

__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]

_replace(__name__, _queue)
