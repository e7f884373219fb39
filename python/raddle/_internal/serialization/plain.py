"""Objects to bytes and back: the quick way, and where it leaves off.

**The quick way** is what the native half does by itself for a call or a result. Nothing in it is written in Python:

1. Look for large bytes-like objects, as `large.find` does: `SCAN_DEPTH` containers deep, in containers of up to
   `SCAN_ITEMS` items. If there is one, leave.
2. `_pickle.dumps(obj, 5, buffer_callback=…)`, where the callback does what `large.taking` does. If it raises
   anything, leave: drop the buffers that were taken.
3. If the bytes contain any of `modules.outlook().patterns` (as a rule there is one, for `__main__`), leave: drop the
   buffers. While `Outlook.holds()`, which compares the sizes of two collections, there is no need to ask for another
   outlook.

Leaving means to call the function here that is named for the purpose, with `tried=True` after step 2: `dump_call` for
the pair `(args, kwargs)`, `dump_result`. What they raise is `NotSerializable`, or what the user's own `__reduce__`
raised. Without `tried`, they go the quick way too, so they can be used alone.

Each pickle can be loaded by whoever gets it, for it contains the definitions of the classes that go by value; they are
some kilobytes, or all that a program's classes name. Who keeps account of what each worker has got passes a list as
`definitions`, and sends those that are new, once, ahead of the call.

To load is `_pickle.loads(data, buffers=…)` in any case. The buffers are to be given as objects with the buffer
protocol, in the order in which they were taken, writable unless the sender's were read-only.
"""

from __future__ import annotations

from _pickle import PickleBuffer
from _pickle import dumps as _dumps
from _pickle import loads as _loads
from io import BytesIO
from types import MethodType

from raddle._internal.serialization import modules
from raddle._internal.serialization.identity import goes_by_value
from raddle._internal.serialization.large import dump_with_prelude, find, taking
from raddle._internal.serialization.lent import lending
from raddle._internal.serialization.pickling import PROTOCOL, is_found, pickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from raddle._internal.serialization.identity import Definition
    from raddle._internal.serialization.namespaces import Watched

    Buffers = list[PickleBuffer]
    Sent = tuple[str, str, str | None]
    """What an object is to the user who sends it: what it is called in a path (nothing, for a call); `the result`, `the
    function` (nothing, for a call); the task's name."""

_outlook: modules.Outlook | None = None


def dumps(obj: object, buffers: Buffers | None = None, name: str = "obj") -> bytes:
    """Pickle any object for a worker.

    Args:
        obj: what to send.
        buffers: takes the large buffers out of band; without it, they go into the pickle.
        name: what the user knows it by.

    Raises:
        NotSerializable: part of it can't be pickled.
    """
    return _dump(obj, (obj,), buffers, (name, "an object" if name == "obj" else name, None))


def loads(data: Any, buffers: Iterable[Any] | None = None) -> Any:
    """Make the object that was pickled."""
    return _loads(data, buffers=buffers)


def dump_call(
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    buffers: Buffers | None = None,
    task: str | None = None,
    *,
    tried: bool = False,
    definitions: list[Definition] | None = None,
) -> bytes:
    """Pickle the arguments of a call: the pair of `args` and `kwargs`, None for the latter if there are none.

    Args:
        args: as the call has them.
        kwargs: likewise.
        buffers: takes the large buffers out of band; without it, they go into the pickle.
        task: the task's name, for the message of an error.
        tried: the quick way has been tried.
        definitions: takes the definitions of classes that the worker must have got, through `load_definition`, before
            it loads the call; without it, they go into the pickle.

    Raises:
        NotSerializable: an argument can't be pickled.
    """
    values = (*args, *kwargs.values()) if kwargs else args
    options: dict[str, Any] = {} if definitions is None else {"definitions": definitions}
    return _dump((args, kwargs or None), values, buffers, ("", "", task), tried=tried, **options)


load_call: Callable[..., tuple[tuple[Any, ...], dict[str, Any] | None]] = loads


def dump_result(
    value: object, buffers: Buffers | None = None, task: str | None = None, *, tried: bool = False
) -> bytes:
    """Pickle what a task returned, in the worker.

    Args:
        value: the result.
        buffers: takes the large buffers out of band; without it, they go into the pickle.
        task: the task's name, for the message of an error.
        tried: the quick way has been tried.

    Raises:
        NotSerializable: part of it can't be pickled.
    """
    return _dump(value, (value,), buffers, ("result", "the result", task), tried=tried, upward=True)


load_result = loads


def dump_function(function: Any, buffers: Buffers | None = None, watched: Watched | None = None) -> bytes:
    """Pickle a callable: by name where a worker can import it, else by value.

    Args:
        function: any callable.
        buffers: takes the large buffers of what it holds out of band; without it, they go into the pickle.
        watched: takes what tells, if it goes by value, that it would be pickled otherwise by now.

    Raises:
        NotSerializable: something that it needs can't be pickled.
    """
    name = getattr(function, "__name__", None) or type(function).__name__
    # Pickle sends a method by its name, even if that is not what its owner has it under.
    private = type(function) is MethodType and not is_found(function)
    sent = name, f"the function {name!r}", None
    return _dump(function, (), buffers, sent, tried=private, inlining=True, watched=watched)


load_function: Callable[..., Any] = loads


def dumps_anyhow(obj: object, *, upward: bool = False) -> bytes:
    """Pickle an object into one piece; raise what pickle raises."""
    data = _dump_quickly(obj, None)
    return _dump_by_value(obj, None, upward=upward) if data is None else data


def _dump(
    obj: Any,
    values: tuple[Any, ...],
    buffers: Buffers | None,
    sent: Sent,
    *,
    tried: bool = False,
    upward: bool = False,
    **options: Any,
) -> bytes:
    large = find(values) if buffers is not None else None
    if not (large or tried or any(goes_by_value(_kind(value), upward=upward) for value in values)):
        data = _dump_quickly(obj, buffers)
        if data is not None:
            return data
    try:
        return _dump_by_value(obj, buffers, large=large, upward=upward, **options)
    except Exception as error:
        if buffers is not None:
            buffers.clear()
        from raddle._internal.serialization.refusals import is_refusal, refused

        if not is_refusal(error):
            raise
        raise refused(obj, error, sent, upward=upward) from error


def _kind(value: Any) -> type:
    """Return the class of an object, or of the first item of a list of such."""
    for _ in range(2):
        if type(value) in (list, tuple) and value:
            value = value[0]
    return type(value)


def _dump_quickly(obj: Any, buffers: Buffers | None) -> bytes | None:
    global _outlook
    try:
        data = _dumps(obj, PROTOCOL, buffer_callback=None if buffers is None else taking(buffers))
    except Exception:
        data = None
    if data is not None:
        if _outlook is None or not _outlook.holds():
            _outlook = modules.outlook()
        if not any(pattern in data for pattern in _outlook.patterns):
            return data
    if buffers is not None:
        buffers.clear()
    return None


def _dump_by_value(
    obj: Any,
    buffers: Buffers | None,
    *,
    large: Sequence[Any] | None = None,
    upward: bool,
    inlining: bool = False,
    definitions: list[Definition] | None = None,
    watched: Watched | None = None,
) -> bytes:
    stream = BytesIO()
    writer = pickler(stream, buffers, upward=upward, inlining=inlining)
    if watched is not None:
        writer.watched = watched
    if definitions is not None:
        writer.definitions = definitions

    def dump() -> bytes:
        if large:
            return dump_with_prelude(writer, stream, large, obj)
        writer.dump(obj)
        return stream.getvalue()

    return dump() if upward else lending(dump)
