"""How many threads BLAS and OpenMP libraries start in a worker.

Left to themselves they start one for each core, in every worker, and slow each other down. They read a variable of the
environment when they are loaded, so these are set before that happens.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    NativeThreads = int | Literal["auto"] | None

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def native_variables(wanted: NativeThreads, cores: int, workers: int) -> dict[str, str]:
    """Return the variables to be set in a worker.

    Args:
        wanted: a number; or `"auto"` for a fair share, where the user's environment does not say otherwise; or None to
            leave everything as it is.
        cores: how many may be used.
        workers: among how many workers.
    """
    if wanted is None:
        return {}
    share = max(1, cores // workers) if wanted == "auto" else wanted
    return {name: str(share) for name in VARIABLES if wanted != "auto" or name not in os.environ}


def limit_loaded(set_variables: dict[str, str]) -> None:
    """Limit the libraries that a forked worker has inherited: with threadpoolctl, if it is installed."""
    if not set_variables or not {"numpy", "scipy", "torch", "sklearn"} & sys.modules.keys():
        return
    try:
        import threadpoolctl
    except ImportError:
        return
    limits = {}
    if "OMP_NUM_THREADS" in set_variables:
        limits["openmp"] = int(set_variables["OMP_NUM_THREADS"])
    if {"OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"} <= set_variables.keys():
        limits["blas"] = int(set_variables["OPENBLAS_NUM_THREADS"])
    for user_api, limit in limits.items():
        threadpoolctl.threadpool_limits(limits=limit, user_api=user_api)
