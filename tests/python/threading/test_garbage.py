"""The garbage collector meets primitives at any moment, even half made."""

from __future__ import annotations

from tests.python.futures.support import run_program


def test_it_may_look_at_a_primitive_that_is_being_made() -> None:
    ended = run_program(
        """
        import gc
        from raddle.threading import Barrier, Condition, Event, Lock, RLock, RWLock, Semaphore
        from raddle.queue import PriorityQueue, Queue, SimpleQueue
        lock = Lock()
        makers = [Event, Lock, RLock, RWLock, Semaphore, Queue, PriorityQueue, SimpleQueue]
        makers += [lambda: Condition(lock), lambda: Barrier(2), lambda: Queue().mutex]
        makers += [type("Derived", (base,), {}) for base in (Event, RLock, Semaphore, Queue, SimpleQueue, Condition)]
        for threshold in range(1, 12):
            gc.set_threshold(threshold)
            for make in makers:
                kept = [make() for _ in range(50)]
        print("done")
        """
    )
    assert (ended.code, ended.out.strip(), ended.err) == (0, "done", "")
