"""A coroutine that is cancelled, which is what Ctrl-C does to it, is not held up by the tasks of its pool."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tests.python.executors.gates import Gate

CODE = """
import asyncio, sys, time
import raddle.futures as futures

async def main():
    loop = asyncio.get_running_loop()
    with getattr(futures, sys.argv[1])(1) as pool:
        waiting = loop.run_in_executor(pool, time.sleep, 600)
        await asyncio.sleep(0.3)
        print("ready", flush=True)
        await waiting

asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_ctrl_c_ends_a_loop_that_waits_for_a_task(name: str) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CODE), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert error.count("Traceback") <= 2, error  # a cancelled main task, and the interrupt that it stands for
    assert "KeyboardInterrupt" in error


def test_a_cancelled_block_leaves_at_once(make_pool: Any, gate: Gate) -> None:
    async def hold() -> None:
        with make_pool(1) as pool:
            future = asyncio.get_running_loop().run_in_executor(pool, gate.door, 1)
            await future

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(hold(), 0.5)

    asyncio.run(main())
