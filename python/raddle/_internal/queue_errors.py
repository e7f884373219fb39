"""The errors of queues: the stdlib's classes, as far as it has them."""

import sys
from queue import Empty, Full

if sys.version_info >= (3, 13):
    from queue import ShutDown
else:

    class ShutDown(Exception):
        """The queue has been shut down: it takes no more items, or has none left."""

    ShutDown.__module__ = "raddle.queue"

__all__ = ["Empty", "Full", "ShutDown"]
