"""What can't be sent is told by its path; what the user's own code raises passes as it is."""

from __future__ import annotations

import collections
import dataclasses
import functools
import pickle
import socket
import sys
import threading
import time
from typing import Any

import pytest

import raddle
from raddle._internal import serialization
from raddle._internal.serialization import path

LOCK = threading.Lock()
SOCKETS = (x for x in ())


class Handler:
    def __init__(self, content: Any) -> None:
        self._content = content


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner


class WithState:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getstate__(self) -> Any:
        return {"renamed": [self.inner]}


class Reducing:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __reduce__(self) -> Any:
        return Reducing, (self.inner,)


@dataclasses.dataclass
class Data:
    items: Any


class Mapped(dict):  # type: ignore[type-arg]
    pass


Pair = collections.namedtuple("Pair", "one other")  # noqa: PYI024


def refused(*args: Any, **kwargs: Any) -> raddle.NotSerializable:
    with pytest.raises(raddle.NotSerializable) as caught:
        serialization.dump_call(args, kwargs, None, "work")
    return caught.value


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((LOCK,), "args[0]"),
        ((1, [2, LOCK]), "args[1][1]"),
        (({"a": {"b": (1, LOCK)}},), "args[0]['a']['b'][1]"),
        ((Handler(LOCK),), "args[0]._content"),
        ((1, Handler(Handler([LOCK]))), "args[1]._content._content[0]"),
        ((Slotted(LOCK),), "args[0].inner"),
        ((WithState(LOCK),), "args[0].inner"),
        ((Reducing(LOCK),), "args[0].inner"),
        ((Data({1: LOCK}),), "args[0].items[1]"),
        ((Mapped(a=LOCK),), "args[0]['a']"),
        ((collections.deque([1, LOCK]),), "args[0][1]"),
        ((collections.OrderedDict(x=LOCK),), "args[0]['x']"),
        ((collections.defaultdict(list, x=LOCK),), "args[0]['x']"),
        ((Pair(1, LOCK),), "args[0].other"),
        (({(1, 2): [LOCK]},), "args[0][(1, 2)][0]"),
        ((functools.partial(print, 1, LOCK),), "args[0].args[1]"),
        ((functools.partial(print, end=LOCK),), "args[0].keywords['end']"),
        ((Handler(LOCK).__init__,), "args[0].__self__._content"),  # type: ignore[misc]
    ],
)
def test_the_path_to_an_argument(args: Any, expected: str) -> None:
    error = refused(*args)
    assert error.path == expected
    fault = f"{expected} is a _thread.lock, which can't be pickled; "
    assert str(error).startswith(f"can't send argument {expected[5]} of task 'work' to a worker: {fault}")


def test_a_keyword_argument() -> None:
    error = refused(1, key=[LOCK])
    assert error.path == "kwargs['key'][0]"
    assert "can't send argument 'key' of task 'work'" in str(error)


def test_what_functions_need() -> None:
    lock = LOCK

    def closing() -> Any:
        return lock

    def defaulting(x: Any = LOCK) -> Any:
        return x

    def nested() -> Any:
        return closing

    class Local:
        attribute = SOCKETS

        @staticmethod
        def method() -> Any:
            return lock

    assert refused(closing).path == "args[0].__closure__['lock']"
    assert refused(nested).path == "args[0].__closure__['closing'].__closure__['lock']"
    assert refused(defaulting).path == "args[0].__defaults__[0]"
    assert refused(Local).path.startswith("args[0].")
    assert refused(Local()).path.endswith(("attribute", "['lock']"))
    with pytest.raises(
        raddle.NotSerializable, match=r"'closing' to a worker: closing\.__closure__\['lock'\]"
    ):
        serialization.dump_function(closing)
    variables: dict[str, Any] = {"items": (x for x in ())}
    exec("def function(): return items", variables)
    with pytest.raises(raddle.NotSerializable, match=r"function\.__globals__\['items'\] is a generator"):
        serialization.dump_function(variables["function"])


def test_a_result() -> None:
    with pytest.raises(raddle.NotSerializable) as caught:
        serialization.dump_result({"a": Handler(LOCK)}, None, "work")
    assert str(caught.value).startswith(
        "can't send the result of task 'work' back: result['a']._content is a _thread.lock"
    )


def test_any_object() -> None:
    with pytest.raises(raddle.NotSerializable, match=r"obj\[0\] is a _thread\.lock"):
        serialization.dumps([LOCK])


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (threading.Lock, "initializer="),
        (lambda: (x for x in ()), "pass a list"),
        (lambda: open(__file__), "open it in the worker"),  # noqa: SIM115
        (socket.socket, "connect in the worker"),
        (lambda: sys._getframe(), "can't be pickled"),
    ],
)
def test_hints(make: Any, hint: str) -> None:
    thing = make()
    assert hint in str(refused([thing]))
    if hasattr(thing, "close"):
        thing.close()


def test_it_is_what_pickle_raises() -> None:
    error = refused(LOCK)
    assert isinstance(error, TypeError)
    assert isinstance(error, pickle.PicklingError)
    assert isinstance(error.__cause__, TypeError)
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), back.path) == (raddle.NotSerializable, str(error), error.path)


ERRORS = [
    ValueError("mine"),
    TypeError("mine"),
    AttributeError("mine"),
    pickle.PicklingError("mine"),
    KeyError("mine"),
    RuntimeError("mine"),
    KeyboardInterrupt(),
    SystemExit(3),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("way", ["__reduce__", "__getstate__", "__reduce_ex__"])
def test_what_the_users_code_raises_is_the_users(error: BaseException, way: str) -> None:
    def fail(*_: Any) -> Any:
        raise error

    instance = type("Local", (), {way: fail})()
    for dump in (
        serialization.dump_result,
        serialization.dumps,
        lambda x: serialization.dump_call((x,), None),
    ):
        with pytest.raises(type(error)) as caught:
            dump([instance])
        assert caught.value is error


def test_a_deep_recursion() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        serialization.dumps(deep)


def test_the_search_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "LONGEST", 0.05)
    begin = time.monotonic()
    error = refused([[float(number)] for number in range(300_000)], LOCK)
    assert time.monotonic() - begin < 5
    assert (error.path, str(error)) == (
        "",
        "can't send the arguments of task 'work' to a worker: cannot pickle '_thread.lock' object",
    )


def test_the_search_fails_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            return super().items()

        def __getattribute__(self, name: str) -> Any:
            if name in ("__dict__", "items") and sys._getframe(1).f_code.co_name == "_parts":
                raise RuntimeError
            return super().__getattribute__(name)

    assert "_thread.lock" in str(refused(Odd(a=LOCK)))
