"""Callables of every kind reach a worker: by name where it can import them, by value otherwise."""

from __future__ import annotations

import collections
import functools
import math
import operator
import threading
import typing
from typing import Any

import pytest

from raddle._internal import serialization
from tests.python.serialization.support import Worker
from tests.python.serialization.support import worker as a_worker

LOCK = threading.Lock()
SETTING = {"value": 1}


def double(x: int) -> int:
    return 2 * x


def with_lock(x: int) -> int:
    with LOCK:
        return x


@functools.cache
def cached(x: int) -> int:
    return x


class Account:
    def __init__(self, balance: int) -> None:
        self.balance = balance

    def __call__(self, more: int) -> int:
        return self.balance + more

    def get(self) -> int:
        return self.balance

    def __hidden(self) -> int:
        return -self.balance

    def hidden(self) -> Any:
        return self.__hidden

    @classmethod
    def empty(cls) -> Account:
        return cls(0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and other.balance == self.balance

    __hash__ = None  # type: ignore[assignment]


def by_name(function: Any) -> bool:
    """Tell whether a pickle names the function rather than describe it."""
    return b"marshal" not in serialization.dump_function(function)


@pytest.mark.parametrize(
    "function", [double, with_lock, cached, len, math.sqrt, Account, Account.get, Account.empty, print]
)
def test_what_a_worker_can_import_goes_by_name(function: Any) -> None:
    assert by_name(function)
    assert serialization.load_function(serialization.dump_function(function)) == function


def test_what_a_module_has_is_called_in_it(worker: Worker) -> None:
    assert worker.run(double, 3) == 6
    assert worker.run(cached, 3) == 3
    assert worker.run(operator.add, 1, 2) == 3
    assert worker.run(Account(3), 4) == 7
    assert worker.run(Account(3).get) == 3
    assert worker.run(Account.empty) == Account(0)
    assert worker.run(functools.partial(double), 4) == 8
    assert worker.run([3, 1, 2].__len__) == 3
    assert worker.run(str.upper, "a") == "A"


def test_a_private_method(worker: Worker) -> None:
    assert worker.run(Account(3).hidden()) == -3


def test_lambdas_and_closures(worker: Worker) -> None:
    offset = 10

    def inner(x: int) -> int:
        return x + offset

    def recursive(n: int) -> int:
        return 1 if n == 0 else n * recursive(n - 1)

    assert worker.run(lambda x: x + 1, 1) == 2
    assert worker.run(inner, 1) == 11
    assert worker.run(recursive, 5) == 120
    assert worker.run(lambda f, x: f(x), inner, 2) == 12
    assert worker.run(lambda x, *, y=2, **more: (x, y, more), 1, z=3) == (1, 2, {"z": 3})


def test_a_closure_of_an_importable_module_uses_the_module_itself(worker: Worker) -> None:
    """Its lock could not be sent, and a copy of what it keeps would not be the module's."""

    def locked() -> bool:
        with LOCK:
            return SETTING is SETTING and LOCK.locked()

    assert worker.run(locked)
    worker.run(lambda: SETTING.update(value=2))
    assert worker.run(lambda: SETTING["value"]) == 2
    assert SETTING["value"] == 1


def test_closures_that_share_a_variable_still_do(worker: Worker) -> None:
    count = 0

    def increase() -> None:
        nonlocal count
        count += 1

    def get() -> int:
        return count

    add, read = worker.run(lambda pair: pair, (increase, get))
    add()
    assert read() == 1
    assert count == 0


def test_an_unbound_variable_stays_unbound(worker: Worker) -> None:
    def outer() -> Any:
        def inner() -> Any:
            return later

        result = worker.run(lambda f: f, inner)
        later = 1
        return result, later

    function, _ = outer()
    with pytest.raises(NameError):
        function()


def test_properties_of_a_function_arrive(worker: Worker) -> None:
    def function(a: int, b: str = "b") -> float:
        """Do nothing."""
        return 0.0

    function.mark = 1  # type: ignore[attr-defined]
    back = worker.run(lambda f: f, function)
    assert (back.__name__, back.__qualname__, back.__module__) == (
        function.__name__,
        function.__qualname__,
        function.__module__,
    )
    assert (back.__doc__, back.__defaults__, back.mark) == ("Do nothing.", ("b",), 1)
    assert back.__annotations__ == function.__annotations__
    assert back.__code__ == function.__code__


def test_a_traceback_shows_the_source_of_a_closure(worker: Worker) -> None:
    def failing() -> None:
        raise ValueError("no")  # the line to be shown

    with pytest.raises(ValueError, match="no") as caught:
        worker.run(failing)
    assert "# the line to be shown" in str(caught.value.__cause__)


def test_an_lru_cache_is_put_around_the_function_anew() -> None:
    calls = []

    @functools.lru_cache(maxsize=3, typed=True)
    def function(x: int) -> tuple[int, int]:
        calls.append(x)
        return x, len(calls)

    function(1)
    with a_worker() as worker:
        assert worker.run(function, 1) == (1, 2)
        back = worker.run(lambda f: f, function)
    assert back.cache_parameters() == {"maxsize": 3, "typed": True}
    assert back.cache_info().currsize == 0
    assert back.__name__ == "function"


def test_a_dispatching_function_has_its_implementations(worker: Worker) -> None:
    @functools.singledispatch
    def show(value: object) -> str:
        return "object"

    @show.register
    def _(value: int) -> str:
        return "int"

    @show.register(list)
    def _(value: list) -> str:  # type: ignore[type-arg]
        return f"list of {show(value[0])}"

    assert [worker.run(show, value) for value in (1, "", [1])] == ["int", "object", "list of int"]
    back = worker.run(lambda f: f, show)
    assert back([2]) == "list of int"
    assert back.__name__ == "show"


def test_cached_properties(worker: Worker) -> None:
    class Local:
        @functools.cached_property
        def value(self) -> int:
            return 3

    assert worker.run(lambda local: (local.value, "value" in vars(local)), Local()) == (3, True)


def test_wrappers_are_transparent(worker: Worker) -> None:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(function(*args))

        return wrapper

    @twice
    def increased(x: int) -> int:
        return x + 1

    assert worker.run(increased, 1) == 3
    assert worker.run(lambda f: f.__wrapped__(1), increased) == 2


def test_coroutine_functions(worker: Worker) -> None:
    async def answer(x: int) -> int:
        return x

    def drive(function: Any, x: int) -> Any:
        try:
            function(x).send(None)
        except StopIteration as stop:
            return stop.value

    assert worker.run(drive, answer, 3) == 3


def test_modules_as_values(worker: Worker) -> None:
    modules = [math, collections, collections.abc]
    assert worker.run(lambda: [module.__name__ for module in modules]) == [
        "math",
        "collections",
        "collections.abc",
    ]
    assert worker.run(lambda x: x, modules) == modules


def test_code_executed_in_a_namespace_without_a_module(worker: Worker) -> None:
    variables: dict[str, Any] = {"state": []}
    exec("def first(x): state.append(x); return state\ndef second(): return list(state)", variables)
    assert worker.run(variables["first"], 1) == [1]
    assert worker.run(variables["second"]) == [1]  # they share their globals, though sent one by one
    assert variables["state"] == []


def test_a_name_that_is_bound_anew_arrives_with_the_next_function(worker: Worker) -> None:
    variables: dict[str, Any] = {"a": 1, "b": [1], "c": "kept"}
    exec("def spoil():\n global a, c\n a = c = 'spoilt'\ndef read(): return a, b, c", variables)
    worker.run(variables["spoil"])
    assert worker.run(variables["read"]) == ("spoilt", [1], "spoilt")
    variables["a"] = 2
    variables["b"].append(2)
    exec("def read_again(): return a, b, c", variables)
    assert worker.run(variables["read_again"]) == (2, [1, 2], "spoilt")


def test_a_function_that_comes_up_overwrites_nothing(worker: Worker) -> None:
    variables: dict[str, Any] = {"a": 1}
    exec("def make():\n global a, new\n a, new = 2, 3\n return lambda: (a, new)", variables)
    back = worker.run(variables["make"])
    assert back() == (1, 3)
    assert back.__globals__ is variables


def test_a_global_lock_is_another_one_in_the_worker(worker: Worker) -> None:
    variables: dict[str, Any] = {"threading": threading}
    exec(
        "lock, nested, local = threading.Lock(), threading.RLock(), threading.local()\n"
        "class Locking:\n"
        "    guard = threading.Lock()\n"
        "    def use(self):\n"
        "        with lock, nested, Locking.guard: local.x = 1; return lock.locked(), id(lock)\n"
        "def use(): return Locking().use()\n"
        "def see(): return id(lock)\n",
        variables,
    )
    with variables["lock"]:
        locked, first = worker.run(variables["use"])
    assert locked
    assert worker.run(variables["see"]) == first
    assert worker.run(lambda x: x.use()[0], variables["Locking"]())


def test_classes_of_code_without_a_module(worker: Worker) -> None:
    variables: dict[str, Any] = {}
    exec("class Made:\n    x = 1\ndef make(): return Made()", variables)
    assert variables["Made"].__module__ == "builtins"
    assert type(worker.run(variables["make"])) is variables["Made"]
    assert worker.run(lambda made: made.x, variables["Made"]()) == 1


def test_annotations_that_can_not_be_evaluated(worker: Worker) -> None:
    variables: dict[str, Any] = {}
    exec(
        compile(
            "def annotated(x: Missing = 1): return x", "<code>", "exec", flags=_POSTPONED, dont_inherit=True
        ),
        variables,
    )
    assert worker.run(variables["annotated"]) == 1


def _flags() -> int:
    import __future__

    import sys

    # From CPython 3.14 on, annotations are evaluated when somebody asks for them.
    return 0 if sys.version_info >= (3, 14) else __future__.annotations.compiler_flag


_POSTPONED = _flags()


def test_type_parameters_keep_their_identity(worker: Worker) -> None:
    local = typing.TypeVar("local", bound=int)

    def identity(x: local) -> local:  # type: ignore[valid-type]
        return x

    assert worker.run(lambda x: x, local) is local
    assert worker.run(identity, 3) == 3


def test_a_function_is_sent_as_often_as_one_likes(worker: Worker) -> None:
    def function(x: int) -> int:
        return x

    first = serialization.dump_function(function)
    assert [worker.run(function, x) for x in range(3)] == [0, 1, 2]
    assert len(first) < 1000
