"""`ProcessPoolExecutor.options`: what processes do that threads can't, and what only processes could do wrong.

What both promise is in `tests/python/executors/test_options.py`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import raddle
from raddle.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from tests.python.executors.gates import Gate
from tests.python.executors.jobs import LONG, Flaky, Journal
from tests.python.futures.support import run_program, until
from tests.python.processes.support import MakePool
from tests.python.processes.tries import (
    Loud,
    answer_the_signal,
    die,
    die_after,
    die_then_enter,
    enter,
    ignore_and_spin,
    spoil,
)


@pytest.fixture
def pool(make_pool: MakePool) -> ProcessPoolExecutor:
    """Two workers."""
    return make_pool(2)


@pytest.fixture
def single(make_pool: MakePool) -> ProcessPoolExecutor:
    """One worker, where order shows."""
    return make_pool(1)


@pytest.fixture
def gates(make_pool: object) -> Iterator[Callable[[], Gate]]:
    """Make gates; they are opened before the executors are shut down."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate())
        return made[-1]

    yield make
    for gate in made:
        gate.close()


@pytest.fixture
def gate(gates: Callable[[], Gate]) -> Gate:
    return gates()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


class TestTimeout:
    def test_the_worker_is_killed_and_another_one_goes_on(self, single: ProcessPoolExecutor) -> None:
        before = single.submit(os.getpid).result(LONG)
        future = single.options(timeout=0.05, name="spin").submit(exec, "while True: pass")
        with pytest.raises(
            raddle.TaskTimeout, match=rf'"spin" ran longer .* 0\.05 s, .*\(pid {before}\) was'
        ):
            future.result(LONG)
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)
        assert future.worker is not None
        assert single.submit(os.getpid).result(LONG) != before

    def test_one_that_ignores_the_polite_signal(self, make_pool: MakePool, gate: Gate) -> None:
        single = make_pool(1, kill_grace=0.2)
        gate.open()
        future = single.options(timeout=0.3).submit(ignore_and_spin, gate.door)
        assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        assert future.duration is not None
        # On a slow machine it may not have come so far as to ignore anything.
        assert (0.5 if gate.entries else 0.3) <= future.duration < LONG

    def test_without_a_grace(self, make_pool: MakePool, gate: Gate) -> None:
        single = make_pool(1, kill_grace=0)
        gate.open()
        future = single.options(timeout=0.2).submit(ignore_and_spin, gate.door)
        assert isinstance(future.exception(LONG), raddle.TaskTimeout)

    def test_what_a_task_answers_to_the_signal_does_not_count(
        self, make_pool: MakePool, gate: Gate, journal: Journal
    ) -> None:
        single = make_pool(1, kill_grace=LONG)
        gate.open()
        future = single.options(timeout=0.3).submit(answer_the_signal, gate.door, journal)
        assert isinstance(future.exception(LONG), raddle.TaskTimeout)
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_tasks_that_end_in_time_keep_their_worker(self, single: ProcessPoolExecutor) -> None:
        hurried = single.options(timeout=5)
        workers = {future.result(LONG) for future in [hurried.submit(os.getpid) for _ in range(200)]}
        assert len(workers) == 1

    def test_several_timeouts_in_one_window(self, single: ProcessPoolExecutor, gate: Gate) -> None:
        gate.open()
        timeouts = [LONG, 30.0, 0.1, 20.0]
        futures = [single.options(timeout=timeout).submit(pow, 2, 3) for timeout in timeouts]
        futures.append(single.options(timeout=0.1).submit(exec, "while True: pass"))
        futures += [single.options(timeout=timeout).submit(pow, 2, 3) for timeout in reversed(timeouts)]
        assert isinstance(futures.pop(4).exception(LONG), raddle.TaskTimeout)
        assert [future.result(LONG) for future in futures] == [8] * 8

    def test_items_of_a_map(self, pool: ProcessPoolExecutor) -> None:
        results = pool.options(timeout=0.2).map(
            exec, ["pass", "while True: pass", "pass"], return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), raddle.TaskTimeout, type(None)]


class TestRetries:
    def test_after_a_death(self, single: ProcessPoolExecutor, journal: Journal) -> None:
        assert single.options(retries=3).submit(die, journal, 2).result(LONG) == 3
        assert len(set(journal.lines())) == 3
        assert (single.stats().retried, single.stats().failed) == (2, 0)

    @pytest.mark.parametrize(
        ("retry_on", "attempts"),
        [
            (ValueError, 1),
            (raddle.WorkerDied, 3),
            (concurrent.futures.process.BrokenProcessPool, 3),
            (RuntimeError, 3),
            (raddle.TaskTimeout, 1),
        ],
        ids=str,
    )
    def test_a_death_is_an_exception_like_others(
        self, single: ProcessPoolExecutor, journal: Journal, retry_on: type[BaseException], attempts: int
    ) -> None:
        future = single.options(retries=2, retry_on=retry_on).submit(die, journal, 9)
        error = future.exception(LONG)
        assert isinstance(error, raddle.WorkerDied)
        assert error.signal == "SIGKILL"
        assert len(journal.lines()) == attempts
        assert single.submit(pow, 2, 3).result(LONG) == 8

    def test_only_what_had_begun_counts_as_tried(
        self, single: ProcessPoolExecutor, gate: Gate, journal: Journal
    ) -> None:
        dying = single.submit(die_after, gate.door, journal)
        gate.await_entry()
        behind = [single.options(retries=0).submit(pow, 2, number) for number in range(20)]
        gate.open()
        assert isinstance(dying.exception(LONG), raddle.WorkerDied)
        assert [future.result(LONG) for future in behind] == [2**number for number in range(20)]

    def test_each_attempt_gets_the_arguments_as_they_were(
        self, single: ProcessPoolExecutor, journal: Journal
    ) -> None:
        large = bytearray(b"x" * 300_000)
        future = single.options(retries=2).submit(spoil, large, [1, 2], journal)
        assert future.result(LONG) == (120, [1, 2])
        assert len(set(journal.lines())) == 1

    def test_the_schedule_runs_here_and_may_use_the_executor(self, single: ProcessPoolExecutor) -> None:
        asked: list[tuple[int, int]] = []

        def schedule(attempt: int) -> float:
            asked.append((attempt, os.getpid()))
            return float(single.submit(pow, 0, attempt).result(LONG))

        assert isinstance(
            single.options(retries=2, backoff=schedule).submit(int, "x").exception(LONG), ValueError
        )
        assert asked == [(1, os.getpid()), (2, os.getpid())]

    def test_what_was_retried_ends_before_the_executor(self, journal: Journal) -> None:
        with ProcessPoolExecutor(1) as pool:
            future = pool.options(retries=5, backoff=0.05).submit(Flaky(journal, 3))
        assert future.result(0) == 4
        with ProcessPoolExecutor(1) as pool:
            future = pool.options(retries=5, backoff=lambda _: 0.05).submit(die, journal, 6)
        assert future.result(0) == 7

    def test_a_shutdown_that_cancels_ends_a_pause(self, make_pool: MakePool) -> None:
        pool = make_pool(1)
        future = pool.options(retries=1, backoff=lambda _: 3600).submit(int, "x")
        until(lambda: pool.stats().deferred == 1)
        pool.shutdown(cancel_futures=True)
        assert future.cancelled()
        assert pool.stats().deferred == 0

    def test_a_shutdown_that_cancels_ends_the_attempts(
        self, make_pool: MakePool, gate: Gate, journal: Journal
    ) -> None:
        pool = make_pool(1)
        future = pool.options(retries=5).submit(die_after, gate.door, journal)
        gate.await_entry()
        pool.shutdown(wait=False, cancel_futures=True)
        gate.open()
        assert isinstance(future.exception(LONG), raddle.WorkerDied)
        assert len(journal.lines()) == 1

    def test_killing_the_workers_ends_the_attempts(
        self, make_pool: MakePool, gate: Gate, journal: Journal
    ) -> None:
        pool = make_pool(1)
        future = pool.options(retries=5).submit(enter, gate.door, journal)
        gate.await_entry()
        pool.kill_workers()
        assert isinstance(future.exception(LONG), raddle.WorkerDied)
        pool.shutdown()
        assert len(journal.lines()) == 1

    def test_a_broken_executor_tries_nothing_again(self, make_pool: MakePool) -> None:
        pool = make_pool(1, initializer=os._exit, initargs=(3,))
        waiting: Future[int] = Future()
        futures = [pool.options(retries=5).submit(int), pool.options(after=waiting).submit(int)]
        for future in futures:
            assert isinstance(future.exception(LONG), raddle.WorkerDied)
        assert pool.stats().deferred == 0


class TestTerminate:
    def test_is_not_answered_by_another_attempt(
        self, single: ProcessPoolExecutor, gate: Gate, journal: Journal
    ) -> None:
        future = single.options(retries=5).submit(enter, gate.door, journal)
        gate.await_entry()
        assert future.terminate()
        assert isinstance(future.exception(LONG), raddle.WorkerDied)
        assert single.submit(pow, 2, 3).result(LONG) == 8
        assert len(journal.lines()) == 1
        assert not future.terminate()

    def test_of_a_later_attempt(self, single: ProcessPoolExecutor, gate: Gate, journal: Journal) -> None:
        future = single.options(retries=5).submit(die_then_enter, gate.door, journal)
        gate.await_entry()
        assert future.running()
        assert future.terminate()
        assert isinstance(future.exception(LONG), raddle.WorkerDied)
        assert len(journal.lines()) == 2

    def test_of_one_that_answers_with_an_error(
        self, make_pool: MakePool, gate: Gate, journal: Journal
    ) -> None:
        pool = make_pool(1, kill_grace=LONG)
        future = pool.options(retries=5).submit(answer_the_signal, gate.door, journal)
        gate.await_entry()
        assert future.terminate()
        assert isinstance(future.exception(LONG), LookupError)
        assert len(journal.lines()) == 1

    def test_in_a_pause_and_in_the_queue(self, single: ProcessPoolExecutor, gate: Gate) -> None:
        pausing = single.options(retries=1, backoff=lambda _: 3600).submit(int, "x")
        until(lambda: single.stats().deferred == 1)
        single.submit(gate.door)
        gate.await_entry()
        queued = [single.options(retries=1).submit(int) for _ in range(3)]
        for future in [pausing, *queued]:
            assert future.terminate()
            assert future.cancelled()
        assert single.stats().deferred == 0
        gate.open()
        until(lambda: single.stats().cancelled == 4)

    def test_hits_only_the_task_that_is_meant(self, single: ProcessPoolExecutor, gates: Any) -> None:
        for _ in range(20):
            short = [single.submit(pow, 2, number) for number in range(8)]
            hit = short[3].terminate()
            others = [future for future in short if future is not short[3]]
            assert [future.result(LONG) for future in others] == [1, 2, 4, 16, 32, 64, 128]
            if not hit:
                assert short[3].result(LONG) == 8

    def test_when_the_last_awaiter_is_cancelled(
        self, single: ProcessPoolExecutor, gate: Gate, journal: Journal
    ) -> None:
        future = single.options(retries=5).submit(enter, gate.door, journal)

        async def give_up() -> None:
            async def waits() -> None:
                await future

            tasks = [asyncio.ensure_future(waits()) for _ in range(2)]
            await asyncio.to_thread(gate.await_entry)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        asyncio.run(give_up())
        gate.await_leaving()
        assert isinstance(future.exception(LONG), raddle.WorkerDied)
        assert len(journal.lines()) == 1


class TestCallbacks:
    def test_may_wait_for_another_task(self, single: ProcessPoolExecutor) -> None:
        results: list[int] = []
        done = threading.Event()

        def follow(future: Future[int]) -> None:
            results.append(future.result())
            results.append(single.submit(pow, 2, 4).result(LONG))
            done.set()

        single.submit(pow, 2, 3).add_done_callback(follow)
        assert done.wait(LONG)
        assert results == [8, 16]

    def test_have_run_when_the_executor_has_shut_down(self) -> None:
        called: list[Future[int]] = []
        with ProcessPoolExecutor(1) as pool:
            futures = [pool.submit(pow, 2, number) for number in range(50)]
            for future in futures:
                future.add_done_callback(called.append)
        assert len(called) == 50

    def test_may_shut_the_executor_down(self, make_pool: MakePool) -> None:
        pool = make_pool(1)
        ended = threading.Event()

        def end(_: object) -> None:
            pool.shutdown(wait=True)
            ended.set()

        pool.submit(int).add_done_callback(end)
        assert ended.wait(LONG)

    def test_an_interrupt_is_for_who_waits_not_for_a_callback(self) -> None:
        ended = run_program(
            """
            import threading, time
            from raddle.futures import ProcessPoolExecutor

            swallowed = []

            def busy(_):
                try:
                    print("ready")
                    until = time.monotonic() + 1
                    while time.monotonic() < until:
                        pass
                except BaseException as error:
                    swallowed.append(error)

            pool = ProcessPoolExecutor(2)
            pool.submit(int).add_done_callback(busy)
            try:
                pool.submit(time.sleep, 60).result()
            except KeyboardInterrupt:
                print("interrupted", swallowed)
                pool.kill_workers()
            """,
            interrupts=1,
        )
        assert (ended.code, ended.out.split("\n")[1]) == (0, "interrupted []"), ended.err


class TestAfter:
    def test_threads_and_processes_and_the_stdlib_in_one_chain(
        self, single: ProcessPoolExecutor, journal: Journal
    ) -> None:
        with ThreadPoolExecutor(1) as threads, concurrent.futures.ThreadPoolExecutor(1) as stdlib:
            future: concurrent.futures.Future[int] = stdlib.submit(journal.note, 0)
            for number, pool in enumerate([single, threads] * 5, 1):
                future = pool.options(after=future).submit(journal.note, number)
            assert future.result(LONG) == 10
        assert journal.lines() == [str(number) for number in range(11)]

    def test_a_failure_passes_from_kind_to_kind(self, single: ProcessPoolExecutor) -> None:
        with ThreadPoolExecutor(1) as threads:
            root = single.submit(int, "x")
            middle = threads.options(after=root).submit(int)
            last = single.options(after=middle).submit(int)
            error = last.exception(LONG)
        assert isinstance(error, raddle.DependencyFailed)
        assert error.__cause__ is middle.exception()
        assert isinstance(middle.exception(), raddle.DependencyFailed)
        assert isinstance(root.exception(), ValueError)

    def test_a_death_is_a_failure(self, single: ProcessPoolExecutor) -> None:
        dependant = single.options(after=single.submit(os._exit, 1)).submit(int)
        assert isinstance(dependant.exception(LONG), raddle.DependencyFailed)
        assert isinstance(dependant.exception().__cause__, raddle.WorkerDied)

    def test_the_executor_ends_after_the_dependants(self, gate: Gate, journal: Journal) -> None:
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(gate.door)
            pool = ProcessPoolExecutor(1)
            pool.submit(int).result(LONG)
            dependant = pool.options(after=first).submit(journal.note, "ran")
            pool.shutdown(wait=False)
            with pytest.raises(RuntimeError, match="shutdown"):
                pool.options(after=first).submit(int)
            gate.open()
            pool.shutdown()
        assert dependant.result(0) == 0

    def test_results_are_not_unpacked_for_dependants(self, single: ProcessPoolExecutor) -> None:
        first = single.submit(Loud)
        assert single.options(after=first).submit(int).result(LONG) == 0
        assert Loud.loaded == 0
        first.result()
        assert Loud.loaded == 1

    def test_arguments_that_cannot_be_sent_fail_at_once(self, single: ProcessPoolExecutor) -> None:
        never: Future[int] = Future()
        future = single.options(after=never, retries=3).submit(print, threading.Lock())
        assert isinstance(future.exception(0), raddle.NotSerializable)
        assert single.stats().deferred == 0

    @pytest.mark.slow
    def test_a_hundred_thousand_dependants(self, pool: ProcessPoolExecutor, gate: Gate) -> None:
        first = pool.submit(gate.door)
        view = pool.options(after=first)
        dependants = [view.submit(abs, -number) for number in range(100_000)]
        assert pool.stats().deferred == 100_000
        gate.open()
        assert sum(future.result(LONG) for future in dependants) == sum(range(100_000))
        assert pool.stats().deferred == 0

    def test_a_long_chain_that_fails(self, single: ProcessPoolExecutor, gate: Gate) -> None:
        future: Future[Any] = single.submit(gate.door.failing)
        for _ in range(20_000):
            future = single.options(after=future).submit(int)
        gate.open()
        assert isinstance(future.exception(LONG), raddle.DependencyFailed)


class TestPriorities:
    def test_an_urgent_task_overtakes_what_a_busy_worker_was_handed(
        self, single: ProcessPoolExecutor, gate: Gate, journal: Journal
    ) -> None:
        for _ in range(50):  # a worker of quick tasks is handed many
            single.submit(int).result(LONG)
        held = single.submit(gate.door)
        gate.await_entry()
        plain = [single.submit(journal.note, f"plain {number}") for number in range(30)]
        urgent = [single.options(priority=5).submit(journal.note, f"urgent {number}") for number in range(3)]
        most = single.options(priority=9).submit(journal.note, "most")
        gate.open()
        raddle.wait([held, most, *plain, *urgent], LONG)
        assert journal.lines() == [
            "most",
            *(f"urgent {number}" for number in range(3)),
            *(f"plain {number}" for number in range(30)),
        ]

    def test_whichever_worker_is_free_takes_it(
        self, pool: ProcessPoolExecutor, gates: Callable[[], Gate], journal: Journal
    ) -> None:
        for future in [pool.submit(int) for _ in range(200)]:
            future.result(LONG)
        stuck, free = gates(), gates()
        # Which worker's window an urgent task would be put into is not known: so each gets some.
        for gate in (stuck, free):
            pool.submit(gate.door)
            gate.await_entry()
        plain = [pool.submit(journal.note, "plain") for _ in range(20)]
        urgent = [pool.options(priority=5).submit(journal.note, "urgent") for _ in range(10)]
        free.open()
        raddle.wait([*plain, *urgent], LONG)
        assert journal.lines() == ["urgent"] * 10 + ["plain"] * 20
        stuck.open()

    def test_what_is_put_back_keeps_its_place(
        self, single: ProcessPoolExecutor, gate: Gate, journal: Journal
    ) -> None:
        dying = single.submit(die_after, gate.door, Journal(journal.path.with_name("other")))
        gate.await_entry()
        order = [(priority, number) for number in range(6) for priority in (0, 2, -2)]
        futures = [single.options(priority=task[0]).submit(journal.note, task) for task in order]
        gate.open()
        assert isinstance(dying.exception(LONG), raddle.WorkerDied)
        raddle.wait(futures, LONG)
        assert journal.lines() == [str(task) for task in sorted(order, key=lambda task: -task[0])]

    def test_many_that_overtake_each_other(self, single: ProcessPoolExecutor, gate: Gate) -> None:
        single.submit(gate.door)
        gate.await_entry()
        futures = [single.options(priority=number % 97).submit(abs, -number) for number in range(2000)]
        gate.open()
        assert [future.result(LONG) for future in futures] == list(range(2000))


def test_cancelled_while_handed_out_leaves_nothing_behind(gate: Gate) -> None:
    """A worker that is handed a task which is taken back again has nothing to say: the pool ends all the same."""
    for _ in range(30):
        with ProcessPoolExecutor(1) as pool:
            pool.submit(int).result(LONG)
            futures = [pool.submit(int) for _ in range(3)]
            for future in futures:
                future.cancel()
            pool.shutdown(wait=False)
        assert all(future.done() for future in futures)


def test_a_view_is_of_the_kind_of_its_executor(single: ProcessPoolExecutor) -> None:
    view = single.options(name="name")
    assert isinstance(view, raddle.futures.TaskView)
    assert view.submit(os.getpid).result(LONG) != os.getpid()
    assert list(view.map(pow, [2, 3], itertools.repeat(2))) == [4, 9]


def test_a_callback_may_wait_for_a_task_that_is_tried_again(
    pool: ProcessPoolExecutor, journal: Journal
) -> None:
    """The decision whether it is does not wait for the callback."""
    found: Future[int] = Future()
    flaky = Flaky(journal, 1)
    pool.submit(int).add_done_callback(
        lambda _: found.set_result(pool.options(retries=1).submit(flaky).result(LONG))
    )
    found.result(LONG)


def test_a_callback_may_wait_for_what_a_later_one_brings_about(pool: ProcessPoolExecutor) -> None:
    """While one sleeps in a wait of Raddle's, another thread calls those that come after it."""
    found: Future[int] = Future()
    seen: Future[int] = Future()
    pool.submit(int).add_done_callback(lambda _: seen.set_result(found.result(LONG)))
    pool.submit(int).add_done_callback(lambda _: found.set_result(5))
    assert seen.result(LONG) == 5


def test_a_callback_may_wait_for_a_task_that_comes_after_a_failing_one(pool: ProcessPoolExecutor) -> None:
    found: Future[BaseException | None] = Future()

    def wait(_: object) -> None:
        failing = pool.submit(int, "x")
        found.set_result(pool.options(after=[failing]).submit(int).exception(LONG))

    pool.submit(int).add_done_callback(wait)
    assert isinstance(found.result(LONG), raddle.DependencyFailed)


def test_what_could_not_be_cancelled_has_begun(single: ProcessPoolExecutor) -> None:
    for _ in range(3000):
        future = single.submit(int)
        assert future.cancel() or future.running() or future.done()
