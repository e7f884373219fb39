"""Who is compared with whom: Raddle and the stdlib of the interpreter that runs the benchmark."""

from __future__ import annotations

import importlib
import platform
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import ModuleType
from typing import Any

STDLIB = "stdlib"
RADDLE = "raddle"


@dataclass(frozen=True)
class Side:
    """One library with the stdlib's interfaces.

    Its modules are imported when a workload asks for them; the names that the workloads use are the stdlib's.

    Attributes:
        name: what the columns call it.
        version: the name and the version of what is measured.
        home: the package that the modules ``futures``, ``threading``, ``queue`` and ``multiprocessing`` stand in; none
            for the stdlib.
    """

    name: str
    version: str
    home: str = ""

    @property
    def futures(self) -> ModuleType:
        """The side's ``concurrent.futures``."""
        return importlib.import_module(f"{self.home or 'concurrent'}.futures")

    @property
    def threading(self) -> ModuleType:
        """The side's ``threading``."""
        return self._module("threading")

    @property
    def queue(self) -> ModuleType:
        """The side's ``queue``."""
        return self._module("queue")

    @property
    def multiprocessing(self) -> ModuleType:
        """The side's ``multiprocessing``."""
        return self._module("multiprocessing")

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.home}.{name}" if self.home else name)

    def pool(self, workers: int) -> Executor:
        """Starts a pool and returns it once every one of its ``workers`` threads has run a task."""
        pool: Executor = self.futures.ThreadPoolExecutor(workers)
        everyone = threading.Barrier(workers + 1)
        arrivals = [pool.submit(everyone.wait) for _ in range(workers)]
        everyone.wait()
        for arrival in arrivals:
            arrival.result()
        return pool

    @property
    def as_completed(self) -> Callable[..., Any]:
        """The side's ``as_completed``."""
        found: Callable[..., Any] = self.futures.as_completed
        return found

    def first_completed(self, pending: set[Future[Any]]) -> set[Future[Any]]:
        """Waits until one of ``pending`` is done and returns those that are not."""
        not_done: set[Future[Any]] = self.futures.wait(pending, return_when=self.futures.FIRST_COMPLETED)[1]
        return not_done


def interpreter() -> str:
    """Returns the interpreter's full version, ``CPython 3.11.7``; free-threaded builds end in ``t``."""
    return f"{platform.python_implementation()} {platform.python_version()}{_build()}"


def interpreter_key() -> str:
    """Returns the feature version that targets and result files go by: ``3.11``, ``3.14t``."""
    major, minor, _ = platform.python_version_tuple()
    return f"{major}.{minor}{_build()}"


def _build() -> str:
    return "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""


def stdlib() -> Side:
    """Returns the peer: the standard library of the running interpreter."""
    return Side(STDLIB, interpreter())


def raddle() -> Side:
    """Returns Raddle as it is installed.

    Raises:
        ImportError: when it is not.
    """
    version: str = importlib.import_module("raddle").__version__
    return Side(RADDLE, f"raddle {version}", "raddle")


def stdlib_again() -> Side:
    """Returns the stdlib in Raddle's place: every ratio is then 1, apart from noise and unfairness."""
    return Side("again", interpreter())
