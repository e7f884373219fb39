"""Fork in the middle of everything: the child starts afresh, the parent does not notice."""

from __future__ import annotations

import pytest

from tests.python.futures.support import run_program

PREAMBLE = """
import asyncio, concurrent.futures as stdlib, multiprocessing, os, sys, threading, time, warnings
import raddle
from raddle.futures import Future, ThreadPoolExecutor, as_completed, wait

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of every fork of a program with threads

def in_child(function):
    \"\"\"Run it in a forked child; the child's exit code.\"\"\"
    pid = os.fork()
    if pid == 0:
        function()
        sys.exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def fails_with(kind, function, *args):
    try:
        function(*args)
    except kind:
        return True
    return False

pool = ThreadPoolExecutor(2)
hold = threading.Event()
running = [pool.submit(hold.wait, 90) for _ in range(2)]
queued = [pool.submit(pow, 2, number) for number in range(3)]
inherited = [*running, *queued]
"""


def run(body: str) -> list[str]:
    """Run a program that begins with the preamble; its lines. It must end well."""
    lines = [line[4:] if line.startswith("    ") else line for line in body.splitlines()]
    ended = run_program(PREAMBLE + "\n".join(lines))
    assert ended.err == ""
    assert ended.code == 0
    return ended.out.splitlines()


def test_pending_futures_fail_in_the_child_and_nothing_happens_to_the_parent() -> None:
    assert run("""
    def child():
        for future in inherited:
            assert fails_with(raddle.ForkError, future.result, 60)
            assert isinstance(future.exception(60), raddle.ForkError)
            assert future.done() and not future.running() and not future.cancelled() and not future.cancel()
            assert "belongs to the process that forked" in str(future.exception())
        assert wait(inherited, 60).not_done == set()
        assert set(as_completed(inherited, 60)) == set(inherited)
        assert stdlib.wait(inherited, 60).not_done == set()
        assert set(stdlib.as_completed(inherited, 60)) == set(inherited)
        called = []
        inherited[0].add_done_callback(called.append)
        assert called == [inherited[0]]
        print("child")

    print(in_child(child))
    hold.set()
    print([future.result(60) for future in inherited])
    """) == ["child", "7", "[True, True, 1, 2, 4]"]


def test_outcomes_that_were_there_are_kept() -> None:
    assert run("""
    other = ThreadPoolExecutor(1)
    good, bad, made = other.submit(pow, 2, 5), other.submit(int, "x"), Future()
    wait([good, bad])

    def child():
        made.set_result(3)
        print(good.result(), type(bad.exception()).__name__, made.result())

    print(in_child(child))
    hold.set()
    """) == ["32 ValueError 3", "7"]


def test_awaiting_in_the_child() -> None:
    assert run("""
    async def main():
        for awaitable in (inherited[0], asyncio.wrap_future(inherited[1])):
            try:
                await asyncio.wait_for(awaitable, 60) if asyncio.isfuture(awaitable) else await awaitable
            except raddle.ForkError:
                print("told")

    print(in_child(lambda: asyncio.run(main())))
    hold.set()
    """) == ["told", "told", "7"]


def test_the_executor_works_afresh_in_the_child() -> None:
    assert run("""
    def child():
        assert pool.stats().queued == 0
        print([pool.submit(pow, 2, number).result(60) for number in range(4)])
        print(list(pool.map(abs, [-1, -2])), list(pool.options(retries=1).map(abs, [-3])))
        print(type(pool.options(timeout=0.01).submit(time.sleep, 60).exception(60)).__name__)
        barrier = threading.Barrier(2)
        print(sorted(future.result(60) for future in [pool.submit(barrier.wait, 60) for _ in range(2)]))
        pool.submit(print, "queued at the end of the child")

    print(in_child(child))
    hold.set()
    """) == ["[1, 2, 4, 8]", "[1, 2] [3]", "TaskTimeout", "[0, 1]", "queued at the end of the child", "7"]


def test_resize_and_shutdown_are_inherited() -> None:
    assert run("""
    pool.resize(3)
    closed = ThreadPoolExecutor(1)
    closed.submit(int).result()
    closed.shutdown()

    def child():
        barrier = threading.Barrier(3)
        wait([pool.submit(barrier.wait, 60) for _ in range(3)])
        print(fails_with(RuntimeError, closed.submit, int))
        with pool:
            pool.submit(print, "in the block")
        print(fails_with(RuntimeError, pool.submit, int))

    print(in_child(child))
    hold.set()
    print(pool.submit(pow, 2, 3).result(60))
    """) == ["True", "in the block", "True", "7", "8"]


def test_dependants_and_retries_in_the_child() -> None:
    assert run("""
    outside = stdlib.Future()
    dependants = [pool.options(after=after).submit(int) for after in (running[0], outside)]
    other = ThreadPoolExecutor(1)
    retried = other.options(retries=1, backoff=lambda _: 3600).submit(int, "x")
    while not other.stats().deferred:
        pass

    def child():
        outside.set_result(1)
        print([fails_with(raddle.ForkError, future.result, 60) for future in [*dependants, retried]])
        late = pool.options(after=running[0]).submit(int).exception(60)
        print(type(late).__name__, type(late.__cause__).__name__)

    print(in_child(child))
    hold.set()
    outside.set_result(1)
    print([future.result(60) for future in dependants], retried.cancel())
    """) == ["[True, True, True]", "DependencyFailed ForkError", "7", "[0, 0] True"]


@pytest.mark.parametrize("view", ["pool", "pool.options(retries=1)"])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_map_that_the_child_inherits(view: str, ordered: bool) -> None:
    assert run(f"""
    items = {view}.map(lambda number: hold.wait(90) and number, range(3), ordered={ordered})
    print(in_child(lambda: print(fails_with(raddle.ForkError, next, items))))
    hold.set()
    print(sorted(items))
    """) == ["True", "7", "[0, 1, 2]"]


def test_an_iteration_and_a_wait_that_the_child_inherits() -> None:
    assert run("""
    iteration = as_completed(inherited)

    def child():
        assert fails_with(raddle.ForkError, next, iteration)
        assert set(as_completed(inherited)) == set(inherited)

    print(in_child(child))
    hold.set()
    print(len(set(iteration)))
    """) == ["7", "5"]


def test_forking_from_a_task() -> None:
    assert run("""
    hold.set()

    def task(ending):
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        code = pool.submit(pow, 2, 3).result(60) + len(list(pool.map(abs, range(3))))
        if ending == "exit":
            os._exit(code)
        return "the child's worker comes to its end"

    print([pool.submit(task, ending).result(60) for ending in ("exit", "return", "exit")])
    print(pool.submit(pow, 2, 3).result(60))
    """) == ["[11, 0, 11]", "8"]


def test_a_task_that_returns_in_a_child_without_streams() -> None:
    assert run("""
    hold.set()

    def task(stream):
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout = stream
        threading.Thread(target=threading.Event().wait).start()

    closed = open(os.devnull, "w")
    closed.close()
    print([pool.submit(task, stream).result(60) for stream in (None, closed)])
    """) == ["[0, 0]"]


def test_the_threads_of_the_parent_are_not_the_childs() -> None:
    assert run("""
    def child():
        assert pool._threads == set()
        go = threading.Event()
        late = [pool.submit(go.wait, 60) for _ in range(4)]
        assert len(pool._threads) == 2
        assert all(thread.is_alive() for thread in pool._threads)
        go.set()

    print(in_child(child))
    hold.set()
    """) == ["7"]


def test_forking_while_workers_are_busy() -> None:
    assert run("""
    hold.set()
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            pool.submit(int).result()
            pool.options(timeout=5, retries=1).submit(int)
            list(pool.map(abs, range(10)))

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes = {in_child(lambda: os._exit(pool.submit(pow, 2, 3).result(60))) for _ in range(25)}
    stop.set()
    for thread in threads:
        thread.join()
    print(codes)
    """) == ["{8}"]


def test_multiprocessing_with_fork() -> None:
    assert run("""
    def child(queue):
        queue.put(fails_with(raddle.ForkError, running[0].result, 60))
        queue.put(list(pool.map(pow, [2, 3], [3, 2])))

    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(queue.get(), queue.get())
    process.join()
    hold.set()
    print(process.exitcode)
    """) == ["True [8, 9]", "0"]


def test_grandchildren() -> None:
    assert run("""
    def child():
        first = pool.submit(hold.wait, 90)

        def grandchild():
            assert fails_with(raddle.ForkError, first.result, 60)
            assert fails_with(raddle.ForkError, running[0].result, 60)
            print(pool.submit(pow, 2, 3).result(60))

        print(in_child(grandchild))
        hold.set()
        print(first.result(60))

    print(in_child(child))
    hold.set()
    """) == ["8", "7", "True", "7"]
