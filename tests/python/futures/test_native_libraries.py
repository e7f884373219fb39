"""`native_threads=` through the real threadpoolctl, on a library that stands in for a BLAS: no machine lacks it."""

from __future__ import annotations

import pytest

from tests.python.futures.support import run_program


def test_a_blas_is_capped_before_the_initializer_and_until_the_pool_ends() -> None:
    pytest.importorskip("threadpoolctl")
    done = run_program("""
        import ctypes, shutil, tempfile
        from pathlib import Path

        import threadpoolctl
        from raddle import ThreadPoolExecutor, _raddle

        threads = 7

        class Standin(threadpoolctl.LibController):
            user_api, internal_api, filename_prefixes = "blas", "standin", ("libstandin",)

            def get_num_threads(self):
                return threads

            def set_num_threads(self, number):
                global threads
                threads = number

            def get_version(self):
                return None

        def look():
            print(threads)

        threadpoolctl.register(Standin)
        with tempfile.TemporaryDirectory() as folder:
            # Any library does: it is found by its name among those that are loaded.
            ctypes.CDLL(shutil.copy(_raddle.__file__, Path(folder) / "libstandin.so"))
            with ThreadPoolExecutor(1, initializer=look, native_threads=3) as pool:
                pool.submit(look).result()
            look()
    """)
    assert done.out.split() == ["3", "3", "7"], done.err
