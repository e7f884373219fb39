"""`Value`, `Array` and `shared_memory`."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import pytest

from raddle import multiprocessing as mp
from raddle.multiprocessing import shared_memory, sharedctypes

METHODS = ["fork", "spawn", "forkserver"]


def change(value: Any, array: Any, raw: Any) -> None:
    with value.get_lock():
        value.value += 1
    array[0] = 2.5
    raw.value = 7


@pytest.mark.parametrize("method", METHODS)
def test_values_and_arrays_are_shared(method: str) -> None:
    context = mp.get_context(method)
    value, array, raw = (
        context.Value("i", 41),
        context.Array("d", [1.0, 2.0]),
        context.RawValue(ctypes.c_long),
    )
    process = context.Process(target=change, args=(value, array, raw))
    process.start()
    process.join()
    assert (value.value, array[:], raw.value) == (42, [2.5, 2.0], 7)
    assert sharedctypes.copy(array.get_obj())[:] == [2.5, 2.0]


def test_their_memory_has_no_file() -> None:
    mp.RawArray("d", 1_000_000)
    with open("/proc/self/maps") as file:
        maps = [line for line in file if "raddle-heap" in line]
    assert maps
    assert all("/memfd:raddle-heap" in line for line in maps)


ATTACH = "from raddle.multiprocessing.shared_memory import SharedMemory as S; S({name!r}{more}).close()"


def attach(name: str, more: str = "") -> str:
    """Attach from an unrelated process, which has a resource tracker of its own. Returns what that said."""
    ended = subprocess.run(
        [sys.executable, "-c", ATTACH.format(name=name, more=more)],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stderr


def test_who_only_attaches_does_not_remove() -> None:
    block = shared_memory.SharedMemory(create=True, size=10)
    try:
        assert attach(block.name) == ""
        assert os.path.exists(f"/dev/shm/{block.name}")
        again = shared_memory.SharedMemory(block.name)
        again.buf[0] = 9
        again.close()
        assert block.buf[0] == 9
    finally:
        block.close()
        block.unlink()
    assert not os.path.exists(f"/dev/shm/{block.name}")


def test_tracking_can_be_asked_for() -> None:
    block = shared_memory.SharedMemory(create=True, size=10, track=False)
    block.close()
    assert "leaked shared_memory" in attach(block.name, ", track=True")
    assert not os.path.exists(f"/dev/shm/{block.name}")


def test_a_block_whose_maker_is_gone_is_removed() -> None:
    code = (
        "from raddle.multiprocessing.shared_memory import SharedMemory as S; import os\n"
        "print(S(create=True, size=10).name, flush=True); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    name = ended.stdout.strip()
    assert name
    assert "leaked shared_memory" in ended.stderr
    assert not os.path.exists(f"/dev/shm/{name}")


def remove(name: str) -> None:
    block = shared_memory.SharedMemory(name)
    block.close()
    block.unlink()


def test_a_child_may_remove_what_its_parent_made() -> None:
    code = (
        "import sys; sys.path.insert(0, {path!r}); import {module}; from raddle import multiprocessing as mp\n"
        "from raddle.multiprocessing.shared_memory import SharedMemory\n"
        "block = SharedMemory(create=True, size=10)\n"
        "p = mp.get_context('fork').Process(target={module}.remove, args=(block.name,)); p.start(); p.join()\n"
        "block.close(); sys.exit(p.exitcode)"
    )
    code = code.format(path=os.path.dirname(__file__), module="test_memory")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_shareable_list_is_shared() -> None:
    numbers = shared_memory.ShareableList([1, "two", None])
    try:
        again = shared_memory.ShareableList(name=numbers.shm.name)
        assert list(again) == [1, "two", None]
        assert type(again.shm) is shared_memory.SharedMemory
        again.shm.close()
    finally:
        numbers.shm.close()
        numbers.shm.unlink()
