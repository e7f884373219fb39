"""How a program ends that has tasks queued, running or stuck."""

from __future__ import annotations

import signal

import pytest

from tests.python.futures.support import run_program

INTERRUPTED = (-signal.SIGINT, 130)
PROMPT = 60.0
"""Seconds within which an interrupted program is gone; its tasks would take an hour. Generous, for slow machines."""


def test_queued_deferred_and_retried_tasks_run_before_the_end() -> None:
    ended = run_program("""
        import threading
        from raddle.futures import ThreadPoolExecutor

        failures = iter([True, True, False])

        def flaky():
            if next(failures):
                raise ValueError
            print("retried")

        pool = ThreadPoolExecutor(1)
        hold = threading.Event()
        first = pool.submit(hold.wait)
        for number in range(3):
            pool.submit(print, number)
        pool.options(retries=5, backoff=0.01).submit(flaky)
        last = pool.options(after=first, priority=-1, timeout=60).submit(print, "last")
        threading.Timer(0.05, hold.set).start()
    """)
    assert ended.code == 0, ended.err
    assert sorted(ended.out.split()) == ["0", "1", "2", "last", "retried"]
    assert ended.err == ""


@pytest.mark.parametrize("drop", ["", "del pool"])
def test_an_executor_that_was_never_shut_down(drop: str) -> None:
    ended = run_program(f"""
        import os
        from raddle.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(2)
        for number in range(20):
            pool.submit(os.write, 1, b"task\\n")
        {drop}
    """)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == 20 * "task\n"


def test_submitting_at_the_end_is_refused() -> None:
    ended = run_program("""
        import atexit
        from raddle.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(2)
        pool.submit(int).result()

        def late():
            for executor in (pool, ThreadPoolExecutor(2)):
                for submit in (executor.submit, executor.options(retries=1).submit):
                    try:
                        submit(int)
                    except RuntimeError as error:
                        print(error)

        atexit.register(late)
    """)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == ["cannot schedule new futures after interpreter shutdown"] * 4


def test_a_task_that_submits_for_ever_ends_with_the_program() -> None:
    ended = run_program("""
        from raddle.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(2)

        def again():
            try:
                pool.submit(again)
            except RuntimeError as error:
                print(error)

        again()
    """)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "cannot schedule new futures after interpreter shutdown\n"


def test_a_task_given_up_at_its_timeout_does_not_hold_up_the_end() -> None:
    ended = run_program("""
        import threading, time
        from raddle import TaskTimeout
        from raddle.futures import ThreadPoolExecutor

        lock = threading.Lock()
        lock.acquire()
        pool = ThreadPoolExecutor(2)
        stuck = [pool.options(timeout=0.02).submit(task, *args) for task, *args in
                 [(lock.acquire,), (time.sleep, 3600), (lock.acquire,)]]
        print([type(future.exception()) is TaskTimeout for future in stuck])
    """)
    assert (ended.code, ended.err, ended.out) == (0, "", "[True, True, True]\n")
    assert ended.seconds < PROMPT


def test_sys_exit_in_a_task_is_its_outcome_alone() -> None:
    ended = run_program("""
        import sys
        from raddle.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(sys.exit, 3)
        print(repr(future.exception()))
    """)
    assert (ended.code, ended.err, ended.out) == (0, "", "SystemExit(3)\n")


WAYS_TO_WAIT = {
    "result": "futures[0].result()",
    "result with a timeout": "futures[0].result(3600)",
    "exception": "futures[0].exception()",
    "wait": "raddle.wait(futures)",
    "first completed": "raddle.wait(futures, return_when=raddle.FIRST_COMPLETED)",
    "as_completed": "next(iter(raddle.as_completed(futures)))",
    "map": "next(pool.map(time.sleep, [3600]))",
    "map with options": "next(pool.options(retries=3).map(time.sleep, [3600]))",
    "map in any order": "next(pool.map(time.sleep, [3600], ordered=False))",
    "the end of the block": "pass",
    "shutdown": "pool.shutdown()",
    "a full queue": "full.submit(int)",
    "asyncio": "asyncio.run(awaiting(futures[0]))",
}


@pytest.mark.parametrize("waiting", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT.keys())
def test_ctrl_c_while_tasks_sleep(waiting: str) -> None:
    # An interruption while asyncio makes its loop leaves a half-made one, about which Python complains.
    ready = "" if "asyncio" in waiting else 'print("ready")'
    ended = run_program(
        f"""
        import asyncio, raddle, time
        from raddle.futures import ThreadPoolExecutor

        async def awaiting(future):
            print("ready")
            await future

        with ThreadPoolExecutor(2) as pool, ThreadPoolExecutor(1, max_pending=1) as full:
            futures = [pool.submit(time.sleep, 3600) for _ in range(10)]
            deferred = pool.options(after=futures[0]).submit(print, "never")
            with_timeout = pool.options(timeout=3600, retries=3).submit(print, "never")
            full.submit(time.sleep, 3600)
            while full.stats().queued:
                pass
            full.submit(time.sleep, 3600)
            {ready}
            {waiting}
        """,
        interrupts=1,
    )
    assert ended.code in INTERRUPTED, ended.err
    assert ended.out == "ready\n"
    # asyncio turns the interruption into a cancellation and back, if it has begun.
    assert ended.err.count("Traceback") in ((1, 2) if "asyncio" in waiting else (1,)), ended.err
    assert ended.err.rstrip().endswith("KeyboardInterrupt")
    assert ended.seconds < PROMPT


STUCK_TASKS = {
    "sleep": "time.sleep(3600)",
    "lock": "locked.acquire()",
    "computing in C": "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "Python loop": "while True: pass",
    "sleeps": "while True: time.sleep(0.0001)",
    "submitting": "while True: pool.submit(int)",
    "swallowing": """
            while True:
                try:
                    time.sleep(0.001)
                except BaseException:
                    pass""",
}


@pytest.mark.parametrize("body", STUCK_TASKS.values(), ids=STUCK_TASKS.keys())
def test_ctrl_c_leaves_stuck_tasks_behind(body: str) -> None:
    ended = run_program(
        f"""
        import hashlib, threading, time
        from raddle.futures import ThreadPoolExecutor

        locked = threading.Lock()
        locked.acquire()
        pool = ThreadPoolExecutor(3)

        def stuck():
            {body}

        futures = [pool.submit(stuck) for _ in range(2)]
        print("ready")
        futures[0].result()
        """,
        interrupts=1,
    )
    assert ended.code in INTERRUPTED, ended.err
    assert ended.err.count("Traceback") == 1, ended.err
    assert ended.seconds < PROMPT


def test_ctrl_c_while_the_program_ends() -> None:
    """The interpreter prints such an exception and ends with code 0, with the stdlib's executor too."""
    ended = run_program(
        """
        import threading, time
        from raddle.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(2)
        futures = [pool.submit(time.sleep, 3600) for _ in range(10)]
        threading._register_atexit(print, "ready")  # called just before the pool's own function
        """,
        interrupts=1,
    )
    assert ended.code in (0, *INTERRUPTED), ended.err
    assert ended.err.count("Traceback") == 1, ended.err
    assert "Fatal Python error" not in ended.err
    assert ended.seconds < PROMPT


def test_a_caught_interrupt_cancels_nothing() -> None:
    ended = run_program(
        """
        import threading
        from raddle.futures import ThreadPoolExecutor, as_completed, wait

        pool = ThreadPoolExecutor(1)
        hold = threading.Event()
        futures = [pool.submit(hold.wait)] + [pool.submit(pow, 2, number) for number in range(3)]
        first = as_completed(futures)
        views = (pool, pool.options(retries=1))
        maps = [view.map(abs, [-1, -2], ordered=ordered, buffersize=buffersize)
                for view in views for ordered in (True, False) for buffersize in (1, None)]
        waits = [futures[0].result, lambda: wait(futures), lambda: next(first)]
        for waiting in waits + [lambda items=items: next(items) for items in maps]:
            try:
                print("ready")
                waiting()
            except KeyboardInterrupt:
                print("caught")
        assert not any(future.cancelled() for future in futures)
        hold.set()
        print([future.result(60) for future in futures], len(list(first)))
        print([sorted(items) for items in maps] == [[1, 2]] * len(maps))
        hold.clear()
        held = pool.submit(hold.wait)
        last = pool.submit(pow, 2, 3)
        try:
            print("ready")
            pool.shutdown()
        except KeyboardInterrupt:
            hold.set()
            print(last.result(60))
        """,
        interrupts=12,
    )
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines == ["ready", "caught"] * 11 + ["[True, 1, 2, 4] 4", "True", "ready", "8"]


def test_an_interrupt_at_any_point_of_a_map_loses_no_item() -> None:
    ended = run_program(
        """
        import signal, threading
        from raddle.futures import ThreadPoolExecutor

        signal.signal(signal.SIGALRM, signal.default_int_handler)
        pool = ThreadPoolExecutor(1)
        views = (pool, pool.options(retries=1))
        kinds = [(view, ordered, buffersize)
                 for view in views for ordered in (True, False) for buffersize in (1, None)]
        for microseconds in range(1, 100):
            for view, ordered, buffersize in kinds:
                hold = threading.Event()
                pool.submit(hold.wait)
                items = view.map(abs, [-1, -2, -3], ordered=ordered, buffersize=buffersize)
                try:
                    signal.setitimer(signal.ITIMER_REAL, microseconds * 1e-6)
                    next(items)
                except KeyboardInterrupt:
                    hold.set()
                assert sorted(items) == [1, 2, 3], (view, ordered, buffersize, microseconds)
        """
    )
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "last_words", ["raise KeyboardInterrupt", "raise SystemExit(130)", "os.kill(os.getpid(), 2)"]
)
@pytest.mark.parametrize("attempt", range(4))
def test_the_end_in_the_middle_of_everything(attempt: int, last_words: str) -> None:
    """Workers that start workers, deadlines that pass, callbacks that run while the interpreter goes away."""
    ended = run_program(f"""
        import os, random, time
        from raddle.futures import Future, ThreadPoolExecutor

        pool = ThreadPoolExecutor(8)

        def more():
            try:
                pool.submit(more).add_done_callback(lambda future: future.done())
            except RuntimeError:
                pass

        def spin():
            while True:
                time.sleep(0.0001)

        for number in range(50):
            more()
        for number in range(100):
            pool.options(timeout=0.0005 + 0.0003 * (number % 40), retries=number % 3).submit(spin)
        nothing = Future()
        try:
            nothing.result(0.002 * {attempt} + 0.001)
        except Exception:
            pass  # two classes named TimeoutError up to Python 3.10
        {last_words}
        nothing.result(90)
    """)
    assert ended.code in INTERRUPTED, (ended.code, ended.err)
    assert "Fatal" not in ended.err
    assert ended.err.count("Traceback") <= 1
