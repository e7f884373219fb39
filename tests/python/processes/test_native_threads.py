"""How many threads native libraries have in a worker."""

from __future__ import annotations

import os
from typing import Any

import pytest

from raddle._internal.processes.native_threads import VARIABLES, native_variables
from raddle.futures import ProcessPoolExecutor


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("wanted", "cores", "workers", "share"),
    [("auto", 8, 2, "4"), ("auto", 8, 3, "2"), ("auto", 2, 8, "1"), (3, 2, 8, "3"), (None, 8, 2, None)],
)
def test_the_share(wanted: Any, cores: int, workers: int, share: str | None) -> None:
    expected = {} if share is None else dict.fromkeys(VARIABLES, share)
    assert native_variables(wanted, cores, workers) == expected


def test_the_users_own_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in native_variables("auto", 8, 2)
    assert native_variables(2, 8, 2)["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("start", ["zygote", "spawn", "fork"])
def test_workers_have_their_share_in_the_environment(start: str) -> None:
    with ProcessPoolExecutor(2, start=start, native_threads=5) as pool:
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "5"
    with ProcessPoolExecutor(2, start=start, native_threads=None) as pool:
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() is None
    assert "OMP_NUM_THREADS" not in os.environ


def blas_threads() -> list[int]:
    import numpy  # noqa: F401
    import threadpoolctl

    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("options", [{}, {"preload": ["numpy"]}, {"start": "fork"}, {"start": "spawn"}])
def test_blas_keeps_to_it(options: Any) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("threadpoolctl")
    for wanted in (1, 2):
        with ProcessPoolExecutor(1, native_threads=wanted, **options) as pool:
            assert set(pool.submit(blas_threads).result()) <= {wanted}
