"""Which of the interpreter's tests belong to which suite, and how they are found.

A suite names modules and, for each, patterns of `Class.method`; a pattern that starts with `!` leaves out. The patterns
of the asyncio suite were found by recording, on 3.10, 3.13 and 3.15, which tests create a `concurrent.futures.Future`
or an executor; tests that never touch one would only swell the count. A module that an interpreter does not have
(`test_concurrent_futures` became a package in 3.12) is passed over; a suite none of whose modules exist is
missing, which is reported, not counted.
"""

from __future__ import annotations

import importlib
import importlib.util
import unittest
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .substitution import MULTIPROCESSING

EVERYTHING = ("*",)
_FUTURES = "test.test_concurrent_futures"
_ASYNCIO = "test.test_asyncio"
_PRIMITIVES = (
    "Queue",
    "Lock",
    "Semaphore",
    "Condition",
    "Event",
    "Barrier",
    "Value",
    "Array",
    "Pool",
    "Connection",
)
_PROCESSES = "ProcessPoolExecutor"
#: Test classes that test pools of processes without saying so.
_OF_PROCESSES = ("FailingInitializerResourcesTest",)


@dataclass(frozen=True)
class Suite:
    """A named selection of the interpreter's tests.

    Attributes:
        name: what the command line calls it.
        title: its name in words.
        modules: module name to patterns of `Class.method`.
        places: what is replaced while it runs: keys of `substitution.PLACES`.
        short: patterns of tests that stand for all of a suite that takes minutes, where there is less time.
        executor: whose tests are taken where a test class says which executor it tests.
    """

    name: str
    title: str
    modules: Mapping[str, tuple[str, ...]]
    places: tuple[str, ...] = ("futures",)
    short: tuple[str, ...] = ()
    executor: str = "ThreadPoolExecutor"

    def chooses(self, module: str, name: str) -> bool:
        """Tell whether `Class.method` of the module belongs to the suite."""
        patterns = self.modules[module]
        left_out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        return any(fnmatchcase(name, pattern) for pattern in patterns) and not any(
            fnmatchcase(name, pattern) for pattern in left_out
        )

    def takes(self, case: type[unittest.TestCase]) -> bool:
        """Tell whether the class tests the suite's executor; what says nothing belongs to the threads."""
        executor = getattr(case, "executor_type", None)
        if executor is not None:
            return bool(executor.__name__ == self.executor)
        return (self.executor == _PROCESSES) == (case.__name__ in _OF_PROCESSES)


@dataclass(frozen=True)
class Found:
    """What `collect` found.

    Attributes:
        tests: the tests by id.
        skipped: modules that skip themselves, with their reasons.
        missing: why there is nothing at all, or None.
    """

    tests: Mapping[str, unittest.TestCase]
    skipped: Mapping[str, str]
    missing: str | None


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "concurrent_futures",
            "test_concurrent_futures, thread side",
            {
                _FUTURES: EVERYTHING,
                f"{_FUTURES}.test_as_completed": EVERYTHING,
                f"{_FUTURES}.test_deadlock": EVERYTHING,
                f"{_FUTURES}.test_future": EVERYTHING,
                f"{_FUTURES}.test_init": EVERYTHING,
                f"{_FUTURES}.test_shutdown": EVERYTHING,
                f"{_FUTURES}.test_thread_pool": EVERYTHING,
                f"{_FUTURES}.test_wait": EVERYTHING,
            },
        ),
        Suite(
            "process_pool",
            "test_concurrent_futures, process side",
            {
                # First, as it looks at how the resource tracker ends, which the tests that kill workers spoil.
                f"{_FUTURES}.test_init": EVERYTHING,
                # Raddle cancels what no worker has begun: whether a task has run by then, as test_cancel_futures
                # wants, is a race.
                _FUTURES: (*EVERYTHING, "!*.test_cancel_futures"),
                f"{_FUTURES}.test_as_completed": EVERYTHING,
                f"{_FUTURES}.test_deadlock": EVERYTHING,
                f"{_FUTURES}.test_process_pool": EVERYTHING,
                f"{_FUTURES}.test_shutdown": (*EVERYTHING, "!*.test_cancel_futures"),
                f"{_FUTURES}.test_wait": EVERYTHING,
            },
            ("futures", "processes"),
            (
                "Initializer",
                "ProcessPoolForkAsCompletedTest.",
                "ProcessPoolForkWaitTest.",
                *(
                    f"ProcessPool{start}{case}."
                    for start in ("Fork", "Forkserver")
                    for case in ("ExecutorDeadlockTest", "ProcessPoolShutdownTest")
                ),
            ),
            executor=_PROCESSES,
        ),
        Suite(
            "asyncio",
            "test_asyncio, where it meets futures and executors",
            {
                f"{_ASYNCIO}.test_base_events": (
                    "*.test_*executor*",
                    "*.test_asyncgen_finalization_by_gc_in_other_thread",
                    "*.test_create_connection_bluetooth",
                    "*.test_create_connection_ipv6_scope",
                    "*.test_create_connection_no_inet_pton",
                    "*.test_create_connection_service_name",
                    "*.test_create_datagram_endpoint_no_addrinfo",
                    "*.test_getnameinfo",
                    "BaseLoopSockSendfileTests.test__sock_sendfile_native_failure",
                    "BaseLoopSockSendfileTests.test_sock_sendfile_fallback*",
                    "BaseLoopSockSendfileTests.test_sock_sendfile_no_fallback",
                ),
                f"{_ASYNCIO}.test_events": (
                    "*EventLoopTests.test_run_in_executor*",
                    "*EventLoopTests.test_call_soon_threadsafe_handle_cancel_same_thread",
                    "*EventLoopTests.test_create_connection_local_addr_nomatch_family",
                    "*EventLoopTests.test_create_connection_local_addr_skip_different_family",
                    "*EventLoopTests.test_create_datagram_endpoint_sock",
                    "*EventLoopTests.test_create_server_dual_stack",
                ),
                f"{_ASYNCIO}.test_free_threading": (
                    "*.test_all_tasks_from_other_thread_includes_eager_tasks",
                    "*.test_run_coroutine_threadsafe*",
                ),
                f"{_ASYNCIO}.test_futures": (
                    "*FutureTests.test_wrap_future*",
                    "*FutureTests.test_copy_state*",
                ),
                f"{_ASYNCIO}.test_selector_events": ("*.test_sock_connect_resolve_using_socket_params",),
                f"{_ASYNCIO}.test_sock_lowlevel": ("*.test_create_connection_sock",),
                f"{_ASYNCIO}.test_streams": (
                    "*.test_open_connection_happy_eyeball_refcycles",
                    "*.test_unhandled_cancel",
                    "*.test_unhandled_exception*",
                ),
                f"{_ASYNCIO}.test_tasks": ("RunCoroutineThreadsafeTests.*",),
                f"{_ASYNCIO}.test_threads": EVERYTHING,
                f"{_ASYNCIO}.test_unix_events": (
                    "SelectorEventLoopUnixSockSendfileTests.test_sock_sendfile_*",
                ),
            },
        ),
        Suite(
            "users",
            "other tests of the standard library that run on a thread pool",
            {
                "test.test_context": ("*.test_context_threads_1",),
                "test.test_free_threading.test_func_annotations": EVERYTHING,
                "test.test_free_threading.test_generators": ("*.test_concurrent_write",),
                "test.test_free_threading.test_type": EVERYTHING,
                "test.test_genericalias": ("BaseTest.test_subscriptable", "BaseTest.test_weakref"),
                "test.test_unittest.testmock.testthreadingmock": (
                    "*.test_reset_mock_resets_wait",
                    "*.test_wait_*",
                ),
            },
        ),
        Suite(
            "lock_tests",
            "test.lock_tests, bound to each of Raddle's classes",
            {"conformance.locks": EVERYTHING},
            ("threading", "_thread"),
        ),
        Suite(
            "threading",
            "test_threading, test_thread, test_threading_local",
            {
                # What runs in subinterpreters never meets Raddle: they don't load its extension.
                "test.test_threading": (*EVERYTHING, "!SubinterpThreadingTests.*"),
                "test.test_thread": EVERYTHING,
                "test.test_threading_local": EVERYTHING,
            },
            ("threading", "_thread"),
        ),
        Suite(
            "queue",
            "test_queue, test_sched",
            {"test.test_queue": EVERYTHING, "test.test_sched": EVERYTHING},
            ("threading", "_thread", "queue"),
        ),
        *(
            Suite(
                f"multiprocessing_{method}",
                f"test._test_multiprocessing, started by {method}",
                # What runs on threads is multiprocessing.dummy, which is not Raddle's.
                {f"conformance.multiprocessing_{method}": (*EVERYTHING, "!WithThreads*")},
                MULTIPROCESSING,
                tuple(f"WithProcessesTest{name}." for name in _PRIMITIVES),
            )
            for method in ("fork", "spawn", "forkserver")
        ),
    )
}


def collect(suite: Suite) -> Found:
    """Import the suite's modules and return its tests, those of a module in the order of unittest's loader.

    To be called after the substitution, in a process of its own.
    """
    tests: dict[str, unittest.TestCase] = {}
    skipped: dict[str, str] = {}
    present = [name for name in suite.modules if _exists(name)]
    for name in present:
        try:
            module = importlib.import_module(name)
        except unittest.SkipTest as skip:
            skipped[name] = str(skip)
            continue
        for case in (getattr(module, attribute) for attribute in dir(module)):
            if not (isinstance(case, type) and issubclass(case, unittest.TestCase) and suite.takes(case)):
                continue
            for method in unittest.defaultTestLoader.getTestCaseNames(case):
                if suite.chooses(name, f"{case.__qualname__}.{method}"):
                    test = case(method)
                    tests.setdefault(test.id(), test)
    return Found(
        tests,
        skipped,
        None if present else f"this build of Python ships without {' and '.join(_tops(suite))}",
    )


def matches(name: str, pattern: str) -> bool:
    """Tell whether the pattern chooses the test: it is a part of the test's id, or a glob over the whole of it."""
    return pattern in name or fnmatchcase(name, pattern)


def _exists(name: str) -> bool:
    """Tell whether the interpreter has the module; a package is none, its tests stand in its modules."""
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, unittest.SkipTest):  # no such package, or one that skips itself as a whole
        return False
    return spec is not None and spec.submodule_search_locations is None


def _tops(suite: Suite) -> list[str]:
    return sorted({".".join(name.split(".")[:2]) for name in suite.modules})
