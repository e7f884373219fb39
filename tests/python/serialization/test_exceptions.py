"""Exceptions arrive with their classes, arguments, attributes and tracebacks, whatever is wrong with them."""

from __future__ import annotations

import concurrent.futures.process
import dataclasses
import io
import json
import linecache
import pickle
import socket
import subprocess
import sys
import threading
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raddle._internal import serialization
from raddle._internal.errors import NotSerializable
from tests.python.serialization.support import Worker
from tests.python.serialization.support import worker as a_worker


def there_and_back(error: BaseException) -> Any:
    return serialization.load_error(serialization.dump_error(error))


def raised(function: Any, *args: Any) -> Any:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        function(*args)
    return caught.value


class NeedsTwo(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.one, self.two = one, two


class WithoutSuper(Exception):
    def __init__(self, one: int, *, two: int) -> None:
        self.pair = one, two


class Reducing(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code

    def __reduce__(self) -> Any:
        return Reducing, (self.code,)


class ReducingBadly(Exception):
    def __reduce__(self) -> Any:
        return int, ("no number",)


class WithLock(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock, self.kept = threading.Lock(), text


class Speaking(Exception):
    def __init__(self, connection: Any) -> None:
        super().__init__()
        self.connection = connection

    def __str__(self) -> str:
        return f"on {self.connection.getsockname()!r}"


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class FromPath(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "not there", path)
        self.path = path


class Both(KeyError, AttributeError):
    pass


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


BUILT_IN = [
    ValueError("a", 1),
    KeyError("k"),
    OSError(2, "not there", "file"),
    OSError(17, "exists", "file", None, "other"),
    OSError("just text"),
    BlockingIOError(11, "again", 5),
    StopIteration(3),
    SystemExit(4),
    KeyboardInterrupt(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    UnicodeEncodeError("ascii", "ü", 0, 1, "bad"),
    ImportError("no", name="module", path="/path"),
    ModuleNotFoundError("no", name="module"),
    SyntaxError("bad", ("file", 1, 2, "text")),
    RecursionError("deep"),
    GeneratorExit(),
    json.JSONDecodeError("bad", "doc", 0),
    subprocess.CalledProcessError(1, ["a"], b"out", b"err"),
    NotSerializable("no", "args[0]"),
    io.UnsupportedOperation("fileno"),
]

FIELDS = (
    *(
        "errno",
        "strerror",
        "filename",
        "filename2",
        "characters_written",
        "value",
        "code",
        "start",
        "end",
        "reason",
    ),
    *("object", "encoding", "name", "path", "msg", "lineno", "offset", "text", "pos", "returncode", "cmd"),
    *("stdout", "stderr"),
)


@pytest.mark.parametrize("error", BUILT_IN, ids=repr)
def test_built_in_ones_and_the_stdlibs(error: BaseException) -> None:
    back = there_and_back(error)
    assert type(back) is type(error)
    assert (back.args, str(back), vars(back)) == (error.args, str(error), vars(error))
    for field in FIELDS:
        if hasattr(error, field):
            assert getattr(back, field) == getattr(error, field)


ODD = [
    (NeedsTwo, (1, 2), {}),
    (WithoutSuper, (1,), {"two": 2}),
    (Reducing, (3,), {}),
    (FromPath, ("/x",), {}),
    (Both, ("x",), {}),
    (Frozen, (3,), {}),
]


@pytest.mark.parametrize(("kind", "args", "options"), ODD)
def test_whatever_their_init_takes(worker: Worker, kind: Any, args: Any, options: Any) -> None:
    def fail() -> None:
        raise kind(*args, **options)

    error = kind(*args, **options)
    for back in (there_and_back(error), raised(worker.run, fail)):
        assert type(back) is kind
        assert (back.args, str(back), vars(back)) == (error.args, str(error), vars(error))


def test_slots() -> None:
    assert there_and_back(Slotted(3)).code == 3


def test_what_reduces_badly_is_put_together_from_parts() -> None:
    back = there_and_back(ReducingBadly("a"))
    assert type(back) is ReducingBadly
    assert back.args == ("a",)


def test_what_can_not_be_pickled_is_left_out_and_named() -> None:
    back = there_and_back(WithLock("text"))
    assert type(back) is WithLock
    assert (str(back), back.kept) == ("text", "text")
    assert not hasattr(back, "lock")
    assert any(".lock is lost: <unlocked" in note for note in back.__notes__)


def test_an_argument_that_can_not_be_pickled_looks_as_it_did() -> None:
    lock = threading.Lock()
    error = ValueError("bad", lock)
    back = there_and_back(error)
    assert back.args[0] == "bad"
    assert str(back) == str(error)
    assert any(".args[1] is lost" in note for note in back.__notes__)


def test_an_exception_that_tells_of_what_is_lost_says_what_it_said() -> None:
    with socket.socket() as connection:
        error = Speaking(connection)
        said = str(error)
        back = there_and_back(error)
    assert isinstance(back, Speaking)
    assert str(back) == said


def test_an_exception_without_words() -> None:
    assert type(there_and_back(Mute())) is Mute
    assert type(there_and_back(ValueError(Mute()))) is ValueError


def test_causes_and_contexts() -> None:
    def chained() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise NeedsTwo(1, 2)  # noqa: B904
        except NeedsTwo as error:
            raise ValueError("last") from error

    error = raised(chained)
    back = there_and_back(error)
    assert type(back) is ValueError
    assert type(back.__cause__) is concurrent.futures.process._RemoteTraceback
    cause = back.__cause__.__context__
    assert type(cause) is NeedsTwo
    assert back.__context__ is cause
    assert type(cause.__context__) is KeyError
    assert (cause.__cause__, cause.__suppress_context__) == (None, False)


def test_a_context_that_is_not_to_be_shown() -> None:
    def hidden() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("last") from None

    back = there_and_back(raised(hidden))
    assert type(back.__context__) is KeyError
    assert "first" not in "".join(traceback.format_exception(back))


def test_the_traceback_is_the_workers(worker: Worker) -> None:
    def inner() -> None:
        raise ValueError("no")  # here it is raised

    back = raised(worker.run, inner)
    text = "".join(traceback.format_exception(back))
    assert "raise ValueError" in text
    assert "# here it is raised" in text
    assert "in inner" in text
    assert '"""' in text
    assert text.count("Traceback (most recent call last)") == 2  # the worker's, and this process' own


def test_causes_are_printed_once() -> None:
    def chained() -> None:
        try:
            raise KeyError("the first one")
        except KeyError as error:
            raise ValueError("last") from error

    text = "".join(traceback.format_exception(there_and_back(raised(chained))))
    assert text.count("the first one") == 2  # the line of code, and the message


@pytest.mark.parametrize("at", ["__cause__", "__context__"])
def test_a_chain_that_is_a_circle(at: str) -> None:
    one, other = ValueError(1), KeyError(2)
    setattr(one, at, other)
    setattr(other, at, one)
    back = there_and_back(one)
    assert (type(back), type(back.__cause__)) == (ValueError, concurrent.futures.process._RemoteTraceback)


def test_a_chain_that_is_very_long() -> None:
    error = ValueError(0)
    for number in range(1, 3000):
        following = ValueError(number)
        following.__context__ = error
        error = following
    back = there_and_back(error)
    assert back.args == (2999,)
    assert back.__context__.args == (2998,)


def test_exceptions_within_exceptions() -> None:
    error = ConnectionError(NeedsTwo(1, 2))
    error.response = WithLock("x")  # type: ignore[attr-defined]
    error.own = error  # type: ignore[attr-defined]
    back = there_and_back(error)
    assert type(back.args[0]) is NeedsTwo
    assert back.args[0].two == 2
    assert type(back.response) is WithLock
    assert back.own is back


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups and notes are new in 3.11")
def test_groups_and_notes() -> None:
    error = ValueError("noted")
    error.add_note("a note")  # type: ignore[attr-defined, unused-ignore]

    class Mine(ExceptionGroup):  # type: ignore[name-defined, misc, unused-ignore]  # noqa: F821
        def __new__(cls, message: str, errors: Any, code: int = 0) -> Any:
            made = super().__new__(cls, message, errors)
            made.code = code
            return made

        def derive(self, errors: Any) -> Any:
            return Mine(self.message, errors, self.code)

    inner = BaseExceptionGroup("inner", [NeedsTwo(1, 2), KeyboardInterrupt()])  # type: ignore[name-defined, unused-ignore]  # noqa: F821
    group = BaseExceptionGroup("outer", [error, inner, Mine("mine", [KeyError(1)], 5)])  # type: ignore[name-defined, unused-ignore]  # noqa: F821
    back = there_and_back(group)
    assert (type(back), back.message) == (type(group), "outer")
    first, second, third = back.exceptions
    assert first.__notes__ == ["a note"]
    assert [type(one) for one in second.exceptions] == [NeedsTwo, KeyboardInterrupt]
    assert (type(third), third.code, third.exceptions[0].args) == (Mine, 5, (1,))
    assert back.split(KeyError)[0].exceptions[0].exceptions[0].args == (1,)


def test_a_class_that_exists_in_the_worker_alone_has_a_stand_in() -> None:
    """It is importable there, so it goes by name, and is not here."""
    with a_worker() as worker:

        def prepare(folder: str) -> None:
            import sys
            from pathlib import Path

            Path(folder, "only_there.py").write_text(
                "class Base(KeyError):\n"
                "    pass\n"
                "class Unknown(Base, ConnectionError):\n"
                "    def __init__(self, code, *, why):\n"
                "        super().__init__(code)\n"
                "        self.code, self.why = code, why\n"
                "    def __str__(self):\n"
                "        return f'it is {self.code}'\n"
                "class Value:\n"
                "    def __repr__(self): return 'a value'\n"
            )
            sys.path.insert(0, folder)

        def fail(kind: str) -> None:
            import importlib

            module = importlib.import_module("only_there")
            if kind == "unknown":
                raise module.Unknown(3, why="so")
            raise ValueError("known", module.Value())

        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            worker.run(prepare, folder)
            back = raised(worker.run, fail, "unknown")
            again = raised(worker.run, fail, "unknown")
            known = raised(worker.run, fail, "known")
    cls = type(back)
    assert (cls.__name__, cls.__qualname__, cls.__module__) == ("Unknown", "Unknown", "only_there")
    assert type(again) is cls
    assert isinstance(back, KeyError)
    assert isinstance(back, ConnectionError)
    assert (str(back), back.code, back.why, back.args) == ("it is 3", 3, "so", (3,))
    assert any("only_there.Unknown is a stand-in" in note for note in back.__notes__)
    assert "only_there.Unknown: it is 3" in str(back.__cause__)
    assert (type(known), repr(known.args[1])) == (ValueError, "a value")
    # A parent may itself be a worker.
    once_more = there_and_back(back)
    assert str(once_more) == "it is 3"
    assert isinstance(once_more, ConnectionError)


def test_source_that_only_the_parent_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a notebook's cell: it has no file, and the parent's linecache has it."""
    source = "def fail():\n    raise ValueError('x')  # in a cell\n"
    name = "/nowhere/cell_1.py"
    variables: dict[str, Any] = {}
    exec(compile(source, name, "exec"), variables)
    monkeypatch.setitem(linecache.cache, name, (len(source), None, source.splitlines(keepends=True), name))
    with a_worker() as worker:
        back = raised(worker.run, variables["fail"])
    assert "raise ValueError('x')  # in a cell" in str(back.__cause__)


NO_EXCEPTIONS = [b"", b"nonsense", pickle.dumps(None), pickle.dumps(("text", [])), pickle.dumps((1, [2]))]


@pytest.mark.parametrize("data", NO_EXCEPTIONS)
def test_what_is_no_exception_is_loaded_as_one(data: bytes) -> None:
    assert isinstance(serialization.load_error(data), RuntimeError)


class Hostile(Exception):
    """Everything that is asked of it fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


def test_a_hostile_exception() -> None:
    back = there_and_back(Hostile("x"))
    assert isinstance(back, BaseException)
    assert "Hostile" in str(back.__cause__)


def test_a_class_that_can_not_be_sent() -> None:
    class Local(LookupError):
        unpicklable = threading.Lock()

    back = there_and_back(Local("text"))
    assert isinstance(back, LookupError)
    assert (type(back).__name__, str(back), back.args) == ("Local", "text", ("text",))


ATTRIBUTES = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: not name.startswith("_")),
    st.none() | st.integers() | st.text() | st.binary() | st.just(threading.Lock()) | st.just(lambda: 1),
    max_size=4,
)


@given(
    kind=st.sampled_from([ValueError, KeyError, OSError, SystemExit, WithLock, Both]),
    args=st.lists(st.none() | st.integers() | st.text() | st.just(threading.Lock()), min_size=1, max_size=1),
    attributes=ATTRIBUTES,
)
def test_any_exception(kind: Any, args: Any, attributes: dict[str, Any]) -> None:
    error = kind(*args)
    error.__dict__.update(attributes)
    back = there_and_back(error)
    assert type(back) is kind
    assert str(back) == str(error)
    for name, value in attributes.items():
        if isinstance(value, (str, bytes, int, type(None))):
            assert getattr(back, name) == value
