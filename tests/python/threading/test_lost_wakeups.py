"""When nothing is left that could wake any thread, that is logged once; and never else."""

from __future__ import annotations

import signal
import textwrap

import pytest

from tests.python.futures.support import Ended, run_program

FIRST_WORDS = "every thread waits, and nothing is left that could wake one of them"

BEGINNING = """
    import _thread, logging, os, signal, sys, time
    import threading as stdlib
    from raddle import threading
    threading.deadlock_policy("off")

    gate = threading.Lock()
    gate.acquire()
"""

ENDING_WITH_THE_FIRST = """
    class Last(logging.Handler):
        def emit(self, record):
            os.write(2, f"{record.name} {record.levelname} {record.getMessage()}".encode())
            os._exit(0)

    logging.getLogger("raddle").addHandler(Last())
"""


def run(source: str, seconds: float) -> Ended:
    """Run a program until it is killed after some seconds: by a signal, as a thread could wake somebody."""
    ended = run_program(f"{BEGINNING}\n    signal.setitimer(signal.ITIMER_REAL, {seconds})\n{source}")
    assert ended.code in (-signal.SIGALRM, 0), ended.err
    return ended


LOST = {
    "the main thread alone": """
    gate.acquire()
    """,
    "a thread that the main thread joins": """
    thread = threading.Thread(target=gate.acquire, name="consumer")
    thread.start()
    thread.join()
    """,
    "a thread that the program's end waits for": """
    threading.Thread(target=gate.acquire, name="consumer").start()
    """,
    "several, the last one of which came late": """
    for delay in (0, 0, 0.7):
        threading.Thread(target=lambda: (time.sleep(delay), gate.acquire())).start()
    """,
    "one whose producer has died": """
    def produce():
        time.sleep(0.7)
        raise SystemExit

    threading.Thread(target=produce).start()
    thread = threading.Thread(target=gate.acquire, name="consumer")
    thread.start()
    thread.join()
    """,
    "after a timed wait has given up": """
    threading.Thread(target=lambda: (gate.acquire(timeout=0.7), gate.acquire())).start()
    """,
    "with a handler that only prints": """
    threading.register(signal.SIGUSR1)
    gate.acquire()
    """,
    "a future that nobody will end": """
    import raddle
    raddle.Future().result()
    """,
    "after a pool has ended its timers and its threads": """
    import raddle
    with raddle.ThreadPoolExecutor(1) as pool:
        assert pool.options(timeout=0.2).submit(time.sleep, 0.4).exception()
    gate.acquire()
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("source", LOST.values(), ids=LOST)
def test_lost_wake_ups_are_logged(source: str) -> None:
    ended = run(ENDING_WITH_THE_FIRST + source, 60)
    assert ended.err.startswith(f"raddle.threading ERROR {FIRST_WORDS}"), ended.err
    assert "  wants " in ended.err


@pytest.mark.slow
def test_they_are_logged_once_by_whoever_looks() -> None:
    ended = run(
        """
    for _ in range(4):
        threading.Thread(target=gate.acquire).start()
    gate.acquire()
    """,
        4,
    )
    assert ended.err.count(FIRST_WORDS) == 1, ended.err
    assert ended.err.count("  wants ") == 5


NOT_LOST = {
    "a thread of the stdlib's that sleeps": """
    stdlib.Thread(target=time.sleep, args=[100], daemon=True).start()
    gate.acquire()
    """,
    "a thread that nobody knows": """
    _thread.start_new_thread(time.sleep, (100,))
    gate.acquire()
    """,
    "a timer": """
    threading.Timer(100, gate.release).start()
    gate.acquire()
    """,
    "a timed wait": """
    threading.Thread(target=gate.acquire, kwargs={"timeout": 100}, daemon=True).start()
    gate.acquire()
    """,
    "a signal handler": """
    signal.signal(signal.SIGUSR1, lambda number, frame: gate.release())
    gate.acquire()
    """,
    "a thread that computes": """
    def compute():
        while True:
            pass
    threading.Thread(target=compute, daemon=True).start()
    gate.acquire()
    """,
    "a pool that waits for work": """
    import raddle
    pool = raddle.ThreadPoolExecutor(1)
    pool.submit(int).result()
    gate.acquire()
    """,
    "a retry to come": """
    import raddle
    pool = raddle.ThreadPoolExecutor(1)
    pool.options(retries=1, backoff=100).submit(int, "x").result()
    """,
    "a main thread that does something else": """
    threading.Thread(target=gate.acquire, daemon=True).start()
    time.sleep(100)
    """,
    "a main thread that has ended, and daemons": """
    threading.Thread(target=gate.acquire, daemon=True).start()
    """,
    "an event loop": """
    import asyncio
    threading.Thread(target=gate.acquire, daemon=True).start()
    asyncio.run(asyncio.sleep(100))
    """,
    "a wake-up that comes late": """
    def wake():
        for _ in range(2):
            time.sleep(0.6)
            gate.release()
    stdlib.Thread(target=wake).start()
    gate.acquire()
    gate.acquire()
    """,
    "a conversation that goes on": """
    ping, pong = threading.Lock(), threading.Lock()
    pong.acquire()

    def answer():
        while True:
            pong.acquire()
            ping.release()

    threading.Thread(target=answer, daemon=True).start()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        ping.acquire()
        pong.release()
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("source", NOT_LOST.values(), ids=NOT_LOST)
def test_what_could_be_woken_is_not_lost(source: str) -> None:
    assert run(source, 1.5).err == ""


@pytest.mark.slow
def test_the_stacks_tell_of_the_conversation_that_began_in_the_wrong_order() -> None:
    ended = run(
        ENDING_WITH_THE_FIRST
        + """
    condition = threading.Condition()

    def consume():
        with condition:
            condition.wait()  # nobody notifies any more

    with condition:
        condition.notify()
    thread = threading.Thread(target=consume, name="consumer")
    thread.start()
    thread.join()
    """,
        60,
    )
    assert FIRST_WORDS in ended.err
    assert "Thread 'consumer' at " in ended.err
    assert "in consume" in ended.err
    assert "wants the end of <Thread(consumer" in ended.err
    assert "Thread 'MainThread' at " in ended.err


@pytest.mark.slow
def test_a_handler_that_fails_breaks_no_wait() -> None:
    ended = run(
        """
    class Failing(logging.Handler):
        def emit(self, record):
            raise ValueError("on purpose")
    logging.getLogger("raddle").addHandler(Failing())
    gate.acquire()
    print("never")
    """,
        2,
    )
    assert ended.code == -signal.SIGALRM
    assert ended.out == ""
    assert "ValueError: on purpose" in ended.err


@pytest.mark.slow
def test_a_forked_child_looks_for_its_own() -> None:
    """The thread that could wake its main thread stayed behind."""
    ended = run(
        """
    import warnings
    warnings.simplefilter("ignore")
    stdlib.Thread(target=time.sleep, args=[100], daemon=True).start()
    child = os.fork()
    if child == 0:
    """
        + textwrap.indent(ENDING_WITH_THE_FIRST, "    ")
        + """
        gate.acquire()
    os.waitpid(child, 0)
    os._exit(0)
    """,
        60,
    )
    assert FIRST_WORDS in ended.err
