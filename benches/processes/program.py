"""One life of a program that works with processes: ``python program.py LIBRARY WHAT``; prints a figure.

It is run by its path in an interpreter of its own, and stands alone: what a start costs depends on everything that the
program has imported, and a worker that is not forked runs this file again, as far as the guard at its end.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    Starter = Callable[[int], Executor]

WORKERS = 2
IDLE_WORKERS = 8
POOLS, TASKS = 20, 20
SECONDS = 1.0
#: What a task does with numpy: builtins only, so that no worker has to import anything else.
ADD_UP = "float(__import__('numpy').ones(3).sum())"


def starter(library: str, preload: Sequence[str] = ()) -> Starter:
    """Imports the library, and returns what makes an executor with so many workers."""
    if library == "raddle":
        from raddle.futures import ProcessPoolExecutor

        return lambda workers: ProcessPoolExecutor(workers, preload=list(preload))
    if library == "loky":
        import loky

        return loky.ProcessPoolExecutor
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context(library)
    if preload and library == "forkserver":
        context.set_forkserver_preload(list(preload))
    return lambda workers: ProcessPoolExecutor(workers, mp_context=context)


def first_result(start: Starter) -> int:
    """Nanoseconds from making a pool to its first result."""
    began = time.perf_counter_ns()
    with start(WORKERS) as pool:
        pool.submit(int).result()
        return time.perf_counter_ns() - began


def first_of_numpy(start: Starter) -> int:
    """The same, of a task that needs numpy."""
    began = time.perf_counter_ns()
    with start(WORKERS) as pool:
        pool.submit(eval, ADD_UP).result()
        return time.perf_counter_ns() - began


def later_pool(start: Starter) -> int:
    """Nanoseconds to the first result of a pool that is not the program's first."""
    first_result(start)
    return first_result(start)


def batches(start: Starter) -> int:
    """Nanoseconds of twenty pools, one after the other, each with twenty tasks."""
    began = time.perf_counter_ns()
    for _ in range(POOLS):
        with start(WORKERS) as pool:
            for future in [pool.submit(int) for _ in range(TASKS)]:
                future.result()
    return time.perf_counter_ns() - began


def private_memory(start: Starter) -> int:
    """Private bytes of all processes below this one, when each of eight workers has used numpy and all are idle."""
    with start(IDLE_WORKERS) as pool:
        seen = set()
        while len(seen) < IDLE_WORKERS:
            task = f"{ADD_UP}, __import__('time').sleep(0.05), __import__('os').getpid()"
            seen |= {
                future.result()[2] for future in [pool.submit(eval, task) for _ in range(4 * IDLE_WORKERS)]
            }
        time.sleep(0.5)
        return sum(private_bytes(process) for process in descendants(os.getpid()))


def idle_time(start: Starter) -> int:
    """Nanoseconds of processor time, of this program and all processes below it, while a warm pool has no work."""
    with start(WORKERS) as pool:
        for future in [pool.submit(time.sleep, 0.05) for _ in range(4 * WORKERS)]:
            future.result()
        time.sleep(0.5)  # the way back to waiting is not idleness
        others = [thread for thread in all_threads() if thread.name != str(os.getpid())]
        before = {thread: processor_time(thread) for thread in others}
        # What has been read of a running thread is what it had spent at the last tick, so this one looks at its clock.
        began = time.thread_time_ns()
        time.sleep(SECONDS)
        own = time.thread_time_ns() - began
        return own + sum(max(0, processor_time(thread) - spent) for thread, spent in before.items())


def private_bytes(process: int) -> int:
    """Bytes that no other process has mapped (Linux)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def descendants(process: int) -> list[int]:
    """The process ids below a process."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in task.joinpath("children").read_text(encoding="ascii").split():
            found += [int(child), *descendants(int(child))]
    return found


def all_threads() -> list[Path]:
    """The threads of this process and of all below it."""
    processes = [os.getpid(), *descendants(os.getpid())]
    return [thread for process in processes for thread in Path(f"/proc/{process}/task").iterdir()]


def processor_time(thread: Path) -> int:
    """Nanoseconds that a thread has spent on processors; nothing if it has ended."""
    try:
        return int(thread.joinpath("schedstat").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0


#: What is measured, and what the workers have imported before their first task where the library can do that.
FIGURES = {
    "first": (first_result, ()),
    "numpy": (first_of_numpy, ("numpy",)),
    "later": (later_pool, ()),
    "batches": (batches, ()),
    "memory": (private_memory, ("numpy",)),
    "idle": (idle_time, ()),
}

if __name__ == "__main__":
    measure, wanted = FIGURES[sys.argv[2]]
    print(measure(starter(sys.argv[1], wanted)))
