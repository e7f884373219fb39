"""Queues in a process: fork, signals, the end of the interpreter, deadlocks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from raddle.queue import Empty, Queue, SimpleQueue
from raddle.threading import DeadlockError, Lock, deadlock_policy
from tests.python.futures.support import run_program, until_asleep
from tests.python.queue.support import Crew

Make = Callable[..., Queue[Any]]

WAITS = {
    "get": "Queue().get()",
    "get-timeout": "Queue().get(timeout=100)",
    "simple-get": "SimpleQueue().get()",
    "put": "full.put(1)",
    "put-many": "full.put_many([1, 2])",
    "join": "full.join()",
    "iteration": "list(Queue())",
    "priority": "PriorityQueue().get()",
    "hooked-get": "Hooked().get()",
    "aget": "asyncio.run(Queue().aget())",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_reaches_every_wait(wait: str) -> None:
    ended = run_program(
        f"""
        import asyncio
        import threading
        from raddle.queue import PriorityQueue, Queue, SimpleQueue
        class Hooked(Queue):
            def _put(self, item):
                super()._put(item)
        full = Queue(1)
        full.put(0)
        threading.Timer(0.05, print, ["ready"], {{"flush": True}}).start()
        try:
            {WAITS[wait]}
        except KeyboardInterrupt:
            print("interrupted")
        """,
        interrupts=1,
    )
    assert (ended.code, ended.out.split(), ended.err) == (0, ["ready", "interrupted"], "")
    assert ended.seconds < 5


def alarm(handler: Callable[[], None]) -> Callable[[], None]:
    """Call `handler` from a signal handler in a moment; returns what puts the old handler back."""
    before = signal.signal(signal.SIGALRM, lambda _signum, _frame: handler())
    signal.setitimer(signal.ITIMER_REAL, 0.05)

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    return restore


def test_a_signal_handler_ends_the_wait_that_it_interrupts(base: type[Queue[Any]]) -> None:
    queue = base()
    restore = alarm(lambda: queue.put(1))
    try:
        assert queue.get(timeout=60) == 1
    finally:
        restore()


def test_a_signal_handler_that_raises_takes_no_item(make: Make) -> None:
    queue = make()

    def fail() -> None:
        queue.put(1)
        raise LookupError

    restore = alarm(fail)
    try:
        with pytest.raises(LookupError):
            queue.get(timeout=60)
    finally:
        restore()
    assert queue.get_nowait() == 1


def test_a_getter_that_was_interrupted_passes_its_wake_up_on(make: Make, crew: Crew) -> None:
    queue = make()
    got: list[int] = []

    def fail() -> None:
        thread = crew.start(lambda: got.append(queue.get()))
        until_asleep(thread)
        queue.put(1)
        raise LookupError

    restore = alarm(fail)
    try:
        with pytest.raises(LookupError):
            queue.get(timeout=60)
    finally:
        restore()
    crew.join()
    assert got == [1]


FORK = """
import os
import sys
import threading
from raddle.queue import *
class Hooked(Queue):
    def _put(self, item):
        super()._put(item)

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "Hooked"])
def test_a_child_goes_on_with_a_copy(kind: str) -> None:
    ended = run_program(
        FORK
        + f"""
queue = {kind}()
for item in (1, 2, 3):
    queue.put(item)
waiting = {kind}()
thread = threading.Thread(target=waiting.get, daemon=True)
thread.start()
while thread.is_alive() and not waiting.empty():
    pass

def child():
    assert sorted(queue.get(timeout=10) for _ in range(3)) == [1, 2, 3]
    queue.put(4)
    assert queue.get() == 4
    try:
        queue.get(timeout=0.01)
    except Empty:
        pass
    # Nobody waits here: the item stays.
    waiting.put(5)
    assert waiting.qsize() == 1
    assert waiting.get(timeout=10) == 5
    thread = threading.Thread(target=queue.put, args=(6,))
    thread.start()
    assert queue.get(timeout=10) == 6
    thread.join()

in_child(child)
in_child(lambda: in_child(child))
assert queue.qsize() == 3
waiting.put(0)
thread.join()
""",
        options=("-W", "ignore::DeprecationWarning"),
    )
    assert (ended.code, ended.err) == (0, "")


COMPARED = """
class Item:
    def __init__(self, number, compare=lambda: None):
        self.number = number
        self.compare = compare
    def __lt__(self, other):
        self.compare()
        other.compare()
        return self.number < other.number

queue = PriorityQueue()
queue.put(Item(2))
"""


@pytest.mark.parametrize("change", ["queue.put(slow)", "queue.get_many(4)"])
def test_a_child_has_no_part_in_a_comparison_that_another_thread_makes(change: str) -> None:
    ended = run_program(
        FORK
        + COMPARED
        + f"""
entered, go, thread = threading.Event(), threading.Event(), None
queue.put_many(map(Item, (4, 3, 5)))

def compare():
    if threading.current_thread() is thread:
        entered.set()
        go.wait()

slow = Item(1, compare)
queue.put(Item(6, compare))

def child():
    # Others wait for the turn no less than this thread does.
    thread = threading.Thread(target=lambda: queue.put(Item(7)))
    thread.start()
    thread.join()
    queue.put(Item(0))
    for item in (queue.get(), queue.get()):
        numbers.append(item.number)
    assert numbers == [0, 2], numbers

numbers = []
thread = threading.Thread(target=lambda: {change})
thread.start()
entered.wait()
in_child(child)
in_child(lambda: in_child(child))
go.set()
thread.join()
""",
        options=("-W", "ignore::DeprecationWarning"),
        timeout=30,
    )
    assert (ended.code, ended.err) == (0, "")


def test_a_comparison_that_forks_goes_on_in_both() -> None:
    ended = run_program(
        FORK
        + COMPARED
        + """
pids = []
def fork():
    if not pids:
        pids.append(os.fork())
        if not pids[0]:
            try:
                queue.get_nowait()
            except RuntimeError as error:
                pids.append(str(error))

queue.put(Item(1, fork))
assert queue.qsize() == 2
assert [queue.get().number, queue.get().number] == [1, 2]
if pids[0]:
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0
else:
    assert "within a comparison" in pids[1]
    os._exit(0)
""",
        timeout=30,
    )
    assert (ended.code, ended.err) == (0, "")


def test_a_signal_handler_that_forks_leaves_the_wait_to_both() -> None:
    ended = run_program(
        FORK
        + """
import signal
queue = Queue()

def fork(_signum, _frame):
    pid = os.fork()
    queue.put(pid == 0)
    if pid:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.05)
if queue.get():
    os._exit(0)
print("parent")
"""
    )
    assert (ended.code, ended.out.strip(), ended.err) == (0, "parent", "")


def test_threads_that_wait_do_not_hold_up_the_end() -> None:
    ended = run_program(
        """
        import threading
        from raddle.queue import PriorityQueue, Queue, SimpleQueue
        full = Queue(1)
        full.put(0)
        for wait in (Queue().get, SimpleQueue().get, PriorityQueue().get, full.join, lambda: full.put(1)):
            threading.Thread(target=wait, daemon=True).start()
        """
    )
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_finalizers_use_queues_at_the_end_of_the_interpreter() -> None:
    ended = run_program(
        """
        from raddle.queue import Queue, SimpleQueue
        class Item:
            def __init__(self, queue):
                self.queue = queue
            def __del__(self):
                self.queue.put("late")
                self.queue.get()
        simple, queue = SimpleQueue(), Queue()
        simple.put(Item(queue))
        queue.put(Item(simple))
        cycle = Queue()
        cycle.put(cycle)
        """
    )
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_deadlock_through_a_join_is_found(base: type[Queue[Any]], crew: Crew) -> None:
    """The joiner waits for the one who has taken an item, and that one for the joiner's lock."""
    before = deadlock_policy("raise")
    try:
        queue, lock = base(), Lock()
        queue.put(1)
        taken = threading.Event()
        outcomes: list[str] = []

        def take() -> None:
            queue.get()
            taken.set()
            try:
                with lock:
                    pass
            except DeadlockError:
                outcomes.append("taker")
            queue.task_done()

        with lock:
            crew.start(take)
            assert taken.wait(60)
            try:
                queue.join()
            except DeadlockError:
                outcomes.append("joiner")
        crew.join()
        assert len(outcomes) == 1
    finally:
        deadlock_policy(before)


def test_a_join_with_nobody_in_the_way_is_no_deadlock(crew: Crew) -> None:
    before = deadlock_policy("raise")
    try:
        queue: Queue[int] = Queue()
        queue.put_many(range(50))

        def work() -> None:
            for _ in range(10):
                queue.get()
                time.sleep(0)
                queue.task_done()

        for _ in range(5):
            crew.start(work)
        queue.join()
    finally:
        deadlock_policy(before)


def test_waits_with_a_timeout_close_no_circle() -> None:
    before = deadlock_policy("raise")
    try:
        with pytest.raises(Empty):
            Queue().get(timeout=0.05)
        with pytest.raises(Empty):
            SimpleQueue().get(timeout=0.05)
    finally:
        deadlock_policy(before)
