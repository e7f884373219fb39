"""Queues between processes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import wait
from typing import Any

import pytest

from raddle import multiprocessing as mp

METHODS = ["fork", "spawn", "forkserver"]
THINGS: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    2**63,
    -(2**80),
    0.5,
    float("inf"),
    "",
    "text",
    "\ud800",
    b"",
    b"bytes",
    bytearray(b"array"),
    (),
    (1, [2, {"three": 4.0}], None),
    list(range(1000)),
    {"set": {1, 2}},
    b"x" * 1_000_000,
    "y" * 1_000_000,
    int,
    OSError(2, "no"),
]


@pytest.fixture
def forked() -> Any:
    return mp.get_context("fork")


def answer(questions: Any, answers: Any) -> None:
    for thing in iter(questions.get, "end"):
        answers.put(thing)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_everything_arrives_in_order(method: str, name: str) -> None:
    context = mp.get_context(method)
    questions, answers = getattr(context, name)(), getattr(context, name)()
    process = context.Process(target=answer, args=(questions, answers))
    process.start()
    for thing in THINGS:
        questions.put(thing)
    questions.put("end")
    for thing in THINGS:
        arrived = answers.get()
        assert repr(arrived) == repr(thing)
        assert type(arrived) is type(thing)
    process.join()
    assert process.exitcode == 0


def test_a_bounded_queue_is_full_at_its_bound() -> None:
    bounded: Any = mp.Queue(2)
    assert bounded.empty()
    assert not bounded.full()
    bounded.put(1)
    bounded.put(2)
    assert bounded.full()
    assert bounded.qsize() == 2
    for call in (bounded.put_nowait, lambda thing: bounded.put(thing, timeout=0.01)):
        with pytest.raises(queue.Full):
            call(3)
    thread = threading.Timer(0.05, bounded.get)
    thread.start()
    bounded.put(3)
    thread.join()
    assert [bounded.get(), bounded.get()] == [2, 3]
    for nothing in (bounded.get_nowait, lambda: bounded.get(timeout=0.01)):
        with pytest.raises(queue.Empty):
            nothing()


def test_put_never_waits_for_room_without_a_bound() -> None:
    unbounded: Any = mp.Queue()
    large = b"x" * 10_000_000
    for _ in range(10):
        unbounded.put(large)
    for number in range(50_000):
        unbounded.put(number)
    assert all(unbounded.get() == large for _ in range(10))
    assert all(unbounded.get() == number for number in range(50_000))


def put_and_leave(flooded: Any) -> None:
    flooded.put(b"x" * 5_000_000)


def test_a_process_can_be_joined_before_its_objects_are_taken(forked: Any) -> None:
    flooded = forked.Queue()
    process = forked.Process(target=put_and_leave, args=(flooded,))
    process.start()
    process.join()  # the stdlib's waits for ever here
    assert len(flooded.get(timeout=1)) == 5_000_000


def test_what_cannot_be_pickled_is_told_and_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[object] = []

    class Telling(mp.queues.Queue):
        @staticmethod
        def _on_queue_feeder_error(e: BaseException, obj: object) -> None:
            told.extend([e, obj])

    telling = Telling(1, ctx=mp.get_context())
    lock = threading.Lock()
    telling.put(lock)
    telling.put(1)
    assert telling.get() == 1
    assert isinstance(told[0], TypeError)
    assert told[1] is lock
    quiet: Any = mp.Queue()
    quiet.put(lock)
    assert "cannot pickle" in capsys.readouterr().err
    with pytest.raises(TypeError, match="cannot pickle"):
        mp.SimpleQueue().put(lock)


def test_a_closed_queue_refuses() -> None:
    closed: Any = mp.Queue()
    with pytest.raises(AssertionError, match="not closed"):
        closed.join_thread()
    closed.put(1)
    closed.close()
    closed.join_thread()
    closed.cancel_join_thread()
    for call in (closed.get, lambda: closed.put(2)):
        with pytest.raises(ValueError, match="is closed"):
            call()
    with pytest.raises(OSError, match="is closed"):
        closed.empty()
    unused: Any = mp.Queue()
    unused.close()
    assert unused.empty()  # to close an unused one does nothing that the stdlib's would notice


def test_join_waits_until_all_is_done() -> None:
    joinable: Any = mp.JoinableQueue()
    joinable.join()
    with pytest.raises(ValueError, match="too many times"):
        joinable.task_done()
    joinable.put(1)
    joinable.put(2)

    def work() -> None:
        for _ in range(2):
            joinable.get()
            time.sleep(0.02)
            joinable.task_done()

    thread = threading.Thread(target=work)
    thread.start()
    joinable.join()
    assert joinable.empty()
    thread.join()


def test_a_subclass_may_take_other_arguments() -> None:
    class Counted(mp.queues.Queue):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, ctx=mp.get_context(), **named)
            self.count = 0

    counted = Counted(maxsize=1)
    counted.put(1)
    assert counted.full()
    assert counted.count == 0


def test_connections_travel(forked: Any) -> None:
    ours, theirs = forked.Pipe()
    travelling = forked.Queue()
    travelling.put({"end": theirs, "numbers": [1]})
    arrived = travelling.get()["end"]
    arrived.send("hello")
    assert ours.recv() == "hello"
    for end in (ours, theirs, arrived):
        end.close()
    multiprocessing.resource_sharer.stop()  # type: ignore[attr-defined]


def test_a_queue_can_be_waited_for_with_others() -> None:
    one, other = mp.SimpleQueue(), mp.Queue()
    ends: Any = [one._reader, other._reader]  # type: ignore[attr-defined]
    assert wait(ends, 0) == []
    other.put(1)
    assert wait(ends, 10) == [ends[1]]
    assert other.get() == 1
    assert wait(ends, 0) == []
    threading.Timer(0.02, one.put, (1,)).start()
    assert wait(ends, 10) == [ends[0]]
    assert one.get() == 1
    assert not ends[0].poll(0.01)


def consume(source: Any) -> None:
    while True:
        source.get()


@pytest.mark.slow
def test_killed_consumers_take_nothing_else_along(forked: Any) -> None:
    """Whoever is killed has at most what it had taken; the rest arrives, in order."""
    source = forked.Queue()
    killed, lost = 60, 0
    for round_number in range(killed):
        consumer = forked.Process(target=consume, args=(source,))
        consumer.start()
        for number in range(3_000):
            source.put((round_number, number, b"x" * (number % 7 * 3_000)))
        time.sleep(0.0003 * (round_number % 10))
        os.kill(consumer.pid, signal.SIGKILL)
        consumer.join()
        left = [source.get(timeout=10)[1] for _ in range(source.qsize())]
        assert left == list(range(3_000 - len(left), 3_000))
        lost += not left
    assert lost < killed


def produce(sink: Any, name: int) -> None:
    for number in range(10**9):
        sink.put((name, number, b"x" * (number % 5 * 20_000)))


@pytest.mark.slow
def test_killed_producers_leave_whole_objects(forked: Any) -> None:
    sink = forked.Queue(200)
    expected: dict[int, int] = {}
    for name in range(40):
        producer = forked.Process(target=produce, args=(sink, name))
        producer.start()
        for _ in range(100):
            of, number, _ = sink.get(timeout=10)
            assert number == expected.get(of, 0)
            expected[of] = number + 1
        os.kill(producer.pid, signal.SIGKILL)
        producer.join()
    while not sink.empty():
        of, number, _ = sink.get(timeout=10)
        assert number == expected.get(of, 0)
        expected[of] = number + 1
    sink.put("still works")
    assert sink.get(timeout=10) == "still works"


def add(source: Any, sums: Any) -> None:
    sums.put(sum(iter(source.get, None)))


@pytest.mark.slow
def test_fifty_consumers_share_the_work(forked: Any) -> None:
    source, sums = forked.Queue(100), forked.Queue()
    consumers = [forked.Process(target=add, args=(source, sums)) for _ in range(50)]
    for consumer in consumers:
        consumer.start()
    for number in range(20_000):
        source.put(number)
    for _ in consumers:
        source.put(None)
    assert sum(sums.get(timeout=60) for _ in consumers) == sum(range(20_000))
    for consumer in consumers:
        consumer.join()


def test_memory_comes_back() -> None:
    flooded: Any = mp.Queue()
    for _ in range(20):
        flooded.put(b"x" * 5_000_000)
    for _ in range(20):
        flooded.get()
    blocks = os.fstat(flooded._fds()[0]).st_blocks * 512
    assert blocks < 20_000_000, sys.version
