"""Context variables travel where their values can, each on its own."""

from __future__ import annotations

import contextvars
import decimal
import logging
import sys
import threading
import types
from typing import Any

import pytest

from raddle._internal import serialization
from raddle._internal.serialization import contexts
from tests.python.serialization.support import Worker

USER = contextvars.ContextVar("USER", default="nobody")
REQUEST: contextvars.ContextVar[Any] = contextvars.ContextVar("under another name")


class Holder:
    inside: contextvars.ContextVar[int] = contextvars.ContextVar("Holder.inside")


def seen() -> tuple[Any, Any, Any]:
    return USER.get(), REQUEST.get(None), Holder.inside.get(0)


@pytest.fixture(autouse=True)
def nothing_named_before() -> None:
    contexts._named.clear()
    contexts._failures.clear()


def context(**values: Any) -> contextvars.Context:
    made = contextvars.Context()
    for name, value in values.items():
        made.run({"user": USER, "request": REQUEST, "inside": Holder.inside}[name].set, value)
    return made


def test_an_empty_context_is_nothing() -> None:
    assert serialization.dump_context(contextvars.Context()) is None


def test_variables_of_a_module(worker: Worker) -> None:
    assert worker.run_in(context(user="me", request=[1], inside=3), seen) == ("me", [1], 3)
    assert worker.run_in(context(request=2), seen) == ("nobody", 2, 0)
    assert worker.run(seen) == ("nobody", None, 0)


def test_here_too() -> None:
    data = serialization.dump_context(context(user="me"))
    assert data is not None
    assert dict(serialization.load_context(data)) == {USER: "me"}


def test_what_can_not_be_sent_stays_and_is_named_once(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "raddle")
    lonely: Any = [contextvars.ContextVar("lonely")]
    mixed = context(user="me", request=threading.Lock())
    mixed.run(lonely[0].set, 1)
    for _ in range(3):
        assert worker.run_in(mixed, seen) == ("me", None, 0)
    assert len(caplog.messages) == 2
    assert any("'lonely' stays behind: no module has it" in message for message in caplog.messages)
    assert any("'under another name' stays behind" in message for message in caplog.messages)
    assert serialization.dump_context(context(request=threading.Lock())) is None


def test_what_fails_again_and_again_is_not_tried_for_ever() -> None:
    tried = 0

    class Refusing:
        def __reduce__(self) -> Any:
            nonlocal tried
            tried += 1
            raise TypeError

    for _ in range(100):
        assert serialization.dump_context(context(request=Refusing())) is None
    assert tried < 30
    assert serialization.dump_context(context(request=1)) is not None


def test_what_can_not_be_loaded_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "raddle")
    module: Any = types.ModuleType("passing_context")
    module.__spec__ = sys.__spec__
    module.VARIABLE = contextvars.ContextVar("VARIABLE")
    sys.modules["passing_context"] = module
    try:
        made = context(user="me")
        made.run(module.VARIABLE.set, 1)
        pairs = serialization.dump_context(made)
    finally:
        del sys.modules["passing_context"]
    assert pairs is not None
    loaded = serialization.load_context(pairs)
    assert loaded[USER] == "me"


def test_values_of_local_classes(worker: Worker) -> None:
    class Local:
        value = 5

    assert worker.run_in(context(request=Local()), lambda: REQUEST.get().value) == 5


def test_a_variable_of_a_module_that_only_this_process_has(worker: Worker) -> None:
    variables: dict[str, Any] = {"contextvars": contextvars, "__name__": "made_for_contexts"}
    module = types.ModuleType("made_for_contexts")
    module.__dict__.update(variables)
    sys.modules["made_for_contexts"] = module
    try:
        exec(
            "user = contextvars.ContextVar('user', default='nobody')\n"
            "def get(): return user.get()\n"
            "def set(x): user.set(x); return user\n",
            module.__dict__,
        )
        made = contextvars.Context()
        made.run(module.user.set, "me")
        assert worker.run_in(made, module.get) == "me"
        assert worker.run(module.get) == "nobody"
        assert worker.run_in(made, lambda: module.user.get()) == "me"
        assert worker.run(module.set, 1) is module.user
    finally:
        del sys.modules["made_for_contexts"]


def test_the_decimal_context(worker: Worker) -> None:
    made = contextvars.Context()
    made.run(decimal.setcontext, decimal.Context(prec=5))
    assert worker.run_in(made, lambda: str(decimal.Decimal(1) / 3)) == "0.33333"
    assert worker.run(lambda: len(str(decimal.Decimal(1) / 3))) > 20
