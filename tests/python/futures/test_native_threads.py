"""`native_threads=`: with threadpoolctl, and without."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import pytest

from raddle.futures import BrokenExecutor, ThreadPoolExecutor
from tests.python.futures.support import LONG, run_program, until


def test_without_threadpoolctl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with pytest.raises(ImportError, match=r"raddle\[native-threads\]"):
        ThreadPoolExecutor(1, native_threads=1)
    ThreadPoolExecutor(1).shutdown()


class Libraries:
    """A stand-in for threadpoolctl, whose one BLAS library belongs to the process."""

    def __init__(self) -> None:
        self.blas = 8
        self.openmp: list[int] = []

    def threadpool_limits(self, *, limits: int, user_api: str) -> Any:
        libraries = self

        class Limiter:
            def __init__(self) -> None:
                self.original = libraries.blas

            def restore_original_limits(self) -> None:
                assert user_api == "blas", "OpenMP's limit is not the process's"
                libraries.blas = self.original

        limiter = Limiter()
        if user_api == "blas":
            self.blas = limits
        else:
            self.openmp.append(limits)
        return limiter


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Libraries:
    libraries = Libraries()
    monkeypatch.setitem(sys.modules, "threadpoolctl", libraries)
    return libraries


def test_each_worker_is_capped_before_its_initializer(libraries: Libraries) -> None:
    seen: list[object] = []

    def initialize(word: str) -> None:
        seen.extend([word, libraries.blas, *libraries.openmp])

    with ThreadPoolExecutor(1, initializer=initialize, initargs=("word",), native_threads=3) as pool:
        assert pool.submit(list, seen).result(LONG) == ["word", 3, 3]


def test_shutdown_puts_the_limit_back(libraries: Libraries) -> None:
    with ThreadPoolExecutor(2, native_threads=1) as pool:
        assert pool.submit(lambda: libraries.blas).result(LONG) == 1
    assert libraries.blas == 8
    with ThreadPoolExecutor(2, native_threads=2) as pool:
        assert pool.submit(lambda: libraries.blas).result(LONG) == 2
    assert libraries.blas == 8


def test_a_dropped_executor_puts_the_limit_back(libraries: Libraries) -> None:
    pool = ThreadPoolExecutor(1, native_threads=1)
    pool.submit(int).result(LONG)
    del pool
    until(lambda: libraries.blas == 8)


def test_so_does_one_whose_initializer_fails(libraries: Libraries, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1, initializer=lambda: 1 // 0, native_threads=1) as pool:
        failed = pool.submit(int).exception(LONG)
    assert isinstance(failed, BrokenExecutor)
    assert libraries.blas == 8


def test_of_two_executors_the_smaller_limit_holds(libraries: Libraries) -> None:
    with ThreadPoolExecutor(1, native_threads=4) as wide:
        assert wide.submit(lambda: libraries.blas).result(LONG) == 4
        with ThreadPoolExecutor(1, native_threads=2) as narrow:
            assert narrow.submit(lambda: libraries.blas).result(LONG) == 2
        assert wide.submit(lambda: libraries.blas).result(LONG) == 4
    assert libraries.blas == 8


@pytest.mark.parametrize(("number", "error"), [(2.5, TypeError), (True, TypeError), (0, ValueError)])
def test_a_number_that_makes_no_sense(libraries: Libraries, number: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="native_threads"):
        ThreadPoolExecutor(1, native_threads=number)


def test_the_tasks_of_openmp_are_capped_and_nobody_elses() -> None:
    """With the library itself, which takes its default from the environment when it is loaded."""
    pytest.importorskip("threadpoolctl")
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("libgomp is not installed")
    done = run_program("""
        import ctypes, os

        os.environ["OMP_NUM_THREADS"] = "7"
        threads = ctypes.CDLL("libgomp.so.1").omp_get_max_threads

        from raddle.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1, native_threads=3) as capped, ThreadPoolExecutor(1) as free:
            print(capped.submit(threads).result(), free.submit(threads).result(), threads())
    """)
    assert done.out == "3 7 7\n", done.err


def test_the_tasks_of_a_blas_are_capped() -> None:
    """With a stand-in for the library, so that it is held everywhere: one limit for the whole process."""
    pytest.importorskip("threadpoolctl")
    done = run_program("""
        import ctypes, shutil, tempfile
        from pathlib import Path

        import threadpoolctl
        import raddle
        from raddle import _raddle

        count = [7]

        class Standin(threadpoolctl.LibController):
            user_api, internal_api, filename_prefixes = "blas", "standin", ("libstandin",)
            get_num_threads = lambda self: count[0]
            get_version = lambda self: None
            def set_num_threads(self, number):
                count[0] = number

        threadpoolctl.register(Standin)
        with tempfile.TemporaryDirectory() as folder:
            # Any library does; it is found by its name among those that are loaded.
            library = shutil.copy(_raddle.__file__, Path(folder) / "libstandin.so")
            ctypes.CDLL(library)
            with raddle.ThreadPoolExecutor(1, native_threads=3) as pool:
                print(pool.submit(lambda: count[0]).result())
    """)
    assert done.out == "3\n", done.err
