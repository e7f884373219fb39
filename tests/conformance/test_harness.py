"""Holds the harness to its promises, with stand-ins that misbehave where Raddle should not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from . import substitution
from .exceptions import KnownException, for_suite
from .standins.refusing import MESSAGE
from .suites import SUITES
from .supervisor import Limits, Outcome, SuiteRun, run_suite
from .verdict import judge

LIMITS = Limits(test=5.0, suite=100.0)
NEAR = Limits(test=60.0, suite=100.0)
PASSED = Outcome("passed")
FAILED = Outcome("failed", 0.1, "AssertionError: 1 != 2")


def run(suite: str, standin: str, limits: Limits, *patterns: str) -> SuiteRun:
    seen = run_suite(SUITES[suite], f"conformance.standins.{standin}", limits, patterns)
    if seen.missing:
        pytest.skip(seen.missing)
    return seen


def names(seen: SuiteRun) -> dict[str, Outcome]:
    return {name.rpartition(".")[2]: outcome for name, outcome in seen.outcomes.items()}


def assert_all_refused(seen: SuiteRun) -> None:
    for name, outcome in seen.outcomes.items():
        assert (name, outcome.outcome) == (name, "failed")
        assert MESSAGE in outcome.detail


def test_the_replacement_is_what_asyncio_and_its_tests_use() -> None:
    seen = run(
        "asyncio", "refusing", NEAR, "*.test_to_thread", "*.test_wrap_future", "*.test_run_in_executor"
    )
    assert set(names(seen)) == {"test_to_thread", "test_wrap_future", "test_run_in_executor"}
    assert_all_refused(seen)


@pytest.mark.parametrize(
    ("suite", "patterns"),
    [
        (
            "lock_tests",
            ("*LockTests.test_constructor", ".ConditionTests.test_acquire", "*SemaphoreTests.test_acquire"),
        ),
        (
            "threading",
            (
                "*LockTests.test_constructor",
                "*Semaphore*.test_acquire",
                "test_threading.Condition*.test_acquire",
            ),
        ),
        ("threading", ("test_threading.EventTests.test_is_set", "BarrierTests.test_single_thread")),
        ("queue", ("*QueueTest.test_basic", "*QueueTest.test_order", "*.test_enter_concurrent")),
    ],
)
def test_the_replacement_is_what_the_tests_make_primitives_and_queues_from(
    suite: str, patterns: tuple[str, ...]
) -> None:
    seen = run(suite, "refusing_primitives", NEAR, *patterns)
    assert seen.outcomes
    assert_all_refused(seen)


def test_names_that_still_mean_an_original_are_found() -> None:
    code = """
import queue, sys, threading, types
sys.path.insert(0, sys.argv[1])
from conformance import substitution

module = sys.modules["test.fake"] = types.ModuleType("test.fake")
holder = type("Holder", (queue.Queue,), {"__module__": "test.fake", "make": staticmethod(threading.Event)})
substitution.install("conformance.standins.refusing_primitives", ("threading", "queue"))
vars(module).update(Holder=holder, Event=holder.make, replaced=threading.Event, queue=queue)
print(substitution.leftovers())
stale = vars(module)["queue"] = types.ModuleType("queue")
stale.LifoQueue = holder.__base__
print(substitution.leftovers()[2:])
"""
    command = [sys.executable, "-c", code, substitution.TESTS_DIR]
    first, second = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    assert first == "['test.fake.Holder.make', 'test.fake.Holder, a Queue', 'test.fake.Event']"
    assert second == "['test.fake.Event', 'test.fake.queue.LifoQueue']"


def test_the_replacement_is_what_the_tests_and_their_child_interpreters_start_threads_with() -> None:
    patterns = (
        "test_start_thread_again",
        "test_join_nondaemon_on_shutdown",
        "test_1_join_on_shutdown",
        "test_recursion_limit",
    )
    seen = run("threading", "refusing_threads", NEAR, *patterns)
    assert set(names(seen)) == set(patterns)
    assert_all_refused(seen)


def test_the_replacement_is_what_interpreters_started_by_tests_use() -> None:
    seen = run("concurrent_futures", "refusing", NEAR, "test_interpreter_shutdown", "test_hang_gh83386")
    outcomes = names(seen)
    assert set(outcomes) == {"test_interpreter_shutdown", "test_hang_gh83386"}
    assert_all_refused(seen)
    for outcome in outcomes.values():
        assert "Process return code is 1" in outcome.detail  # so it was the child interpreter that refused


@pytest.mark.slow
def test_the_replacement_is_what_the_tests_of_processes_and_their_child_interpreters_use() -> None:
    patterns = (
        "ProcessPoolForkWaitTest.test_20369",
        "ProcessPoolSpawnProcessPoolExecutorTest.test_submit",
        "ProcessPoolForkserverExecutorDeadlockTest.test_crash_at_task_unpickle",
        "ProcessPoolForkserverProcessPoolShutdownTest.test_interpreter_shutdown",
    )
    seen = run("process_pool", "refusing_processes", NEAR, *patterns)
    assert len(seen.outcomes) >= len(patterns)
    assert_all_refused(seen)


def test_the_replacement_is_what_asyncio_and_its_tests_make_futures_from() -> None:
    patterns = ("*.test_wrap_future_cancel", "*.test_run_coroutine_threadsafe_with_exception")
    seen = run("asyncio", "refusing_futures", NEAR, *patterns)
    assert set(names(seen)) == {"test_wrap_future_cancel", "test_run_coroutine_threadsafe_with_exception"}
    assert_all_refused(seen)


def test_the_replacement_is_what_the_tests_wait_with() -> None:
    seen = run(
        "concurrent_futures", "refusing_waits", NEAR, "ThreadPoolWaitTests.test_20369", "*.test_no_timeout"
    )
    assert set(names(seen)) == {"test_20369", "test_no_timeout"}
    assert_all_refused(seen)


def test_the_replacement_is_what_the_tests_make_their_own_futures_from() -> None:
    seen = run("concurrent_futures", "refusing_futures", NEAR, "FutureTests")
    assert not seen.outcomes  # the modules already make futures while they are imported
    assert MESSAGE in seen.problems[0]


def test_an_exception_lost_in_a_thread_fails_the_test() -> None:
    seen = run("asyncio", "losing", NEAR, "*.test_to_thread")
    assert set(names(seen)) == {"test_to_thread"}
    assert_all_refused(seen)


def test_the_interpreters_own_classes_pass() -> None:
    seen = run_suite(SUITES["asyncio"], "stdlib", NEAR, ("ToThreadTests",))
    assert seen.outcomes
    assert {outcome.outcome for outcome in seen.outcomes.values()} == {"passed"}
    assert not seen.problems


@pytest.mark.slow
def test_a_test_that_hangs_is_named_with_its_stack_and_the_rest_runs() -> None:
    patterns = ("*.test_to_thread", "*.test_to_thread_exception", "*.PyFutureTests.test_wrap_future_future")
    seen = run("asyncio", "hanging", LIMITS, *patterns)
    outcomes = names(seen)
    assert outcomes["test_wrap_future_future"].outcome == "passed"
    for name in ("test_to_thread", "test_to_thread_exception"):
        assert outcomes[name].outcome == "hung"
        assert "hanging.py" in outcomes[name].detail
        assert f"in {name}" in outcomes[name].detail


def test_a_test_that_crashes_is_named_and_the_rest_runs() -> None:
    patterns = ("*.test_to_thread", "*.test_to_thread_exception", "*.PyFutureTests.test_wrap_future_future")
    seen = run("asyncio", "crashing", NEAR, *patterns)
    outcomes = names(seen)
    assert outcomes["test_wrap_future_future"].outcome == "passed"
    for name in ("test_to_thread", "test_to_thread_exception"):
        assert outcomes[name].outcome == "crashed"
        assert "died of SIGKILL" in outcomes[name].detail


@pytest.mark.slow
def test_a_suite_over_its_limit_is_ended_and_leaves_the_rest_not_run() -> None:
    patterns = ("*.test_to_thread", "*.test_to_thread_exception")
    # A busy machine may not come as far as the first test within the shorter limits.
    for limit in (4.0, 15.0, 60.0):
        seen = run("asyncio", "hanging", Limits(test=100.0, suite=limit), *patterns)
        if seen.outcomes:
            break
    assert names(seen)["test_to_thread"].outcome == "hung"
    verdict = judge(seen, (), patterns)
    assert sorted(outcome.outcome for outcome in verdict.outcomes.values()) == ["hung", "not run"]
    assert len(verdict.complaints) == 2


def test_pools_of_threads_and_of_processes_have_a_suite_each_and_those_of_interpreters_none() -> None:
    found = {}
    for name in ("concurrent_futures", "process_pool"):
        seen = run_suite(SUITES[name], "stdlib", NEAR, ("no such test",))
        if seen.missing:
            pytest.skip(seen.missing)
        found[name] = seen.ids
    assert [name for name in found["concurrent_futures"] if "ProcessPool" in name] == []
    assert [name for name in found["process_pool"] if "ThreadPool" in name] == []
    assert [name for ids in found.values() for name in ids if "InterpreterPool" in name] == []
    assert not set(found["concurrent_futures"]) & set(found["process_pool"])
    assert len(found["process_pool"]) > 100


class TestExceptions:
    RUN = SuiteRun(
        "asyncio",
        ids=["test.a.Case.test_good", "test.a.Case.test_bad", "test.b.Case.test_bad"],
        outcomes={
            "test.a.Case.test_good": PASSED,
            "test.a.Case.test_bad": FAILED,
            "test.b.Case.test_bad": PASSED,
        },
    )

    def test_a_failure_that_is_not_listed_is_a_complaint(self) -> None:
        verdict = judge(self.RUN, ())
        assert verdict.complaints == ["FAILED test.a.Case.test_bad\nAssertionError: 1 != 2"]
        assert (verdict.passed, verdict.total) == (2, 3)

    def test_a_listed_failure_is_accepted_and_counted(self) -> None:
        verdict = judge(self.RUN, [KnownException("a.Case.test_bad", "peeks inside")])
        assert not verdict.complaints
        assert verdict.excepted == {"test.a.Case.test_bad": "peeks inside"}

    def test_a_listed_test_that_passes_is_a_complaint(self) -> None:
        listed = [
            KnownException("a.Case.test_bad", "peeks inside"),
            KnownException("Case.test_good", "was slow"),
        ]
        (complaint,) = judge(self.RUN, listed).complaints
        assert complaint.startswith("LISTED Case.test_good, but it passes")

    @pytest.mark.parametrize(
        ("listed", "means"), [("Case.test_gone", 0), ("Case.test_bad", 2), ("e.test_good", 0)]
    )
    def test_a_listed_id_must_mean_one_test(self, listed: str, means: int) -> None:
        verdict = judge(self.RUN, [KnownException(listed, "no reason")])
        assert (
            f"LISTED {listed}, which means {means} tests of this interpreter instead of one"
            in verdict.complaints
        )

    def test_an_entry_speaks_about_its_versions_only(self) -> None:
        listed = [KnownException("a.Case.test_bad", "old API", since="3.11", until="3.12")]
        complaints = {
            minor: judge(self.RUN, listed, version=(3, minor)).complaints for minor in (10, 11, 12, 13)
        }
        assert {minor for minor, found in complaints.items() if found} == {10, 13}

    def test_tests_that_were_not_chosen_are_not_judged(self) -> None:
        verdict = judge(self.RUN, [KnownException("a.Case.test_bad", "peeks inside")], ("test_good",))
        assert not verdict.complaints
        assert list(verdict.outcomes) == ["test.a.Case.test_good"]

    @pytest.mark.parametrize("suite", SUITES)
    def test_every_suite_has_its_list_with_reasons(self, suite: str) -> None:
        assert all(len(entry.reason) > 20 for entry in for_suite(suite))
