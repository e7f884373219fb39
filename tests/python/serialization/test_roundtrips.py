"""Whatever hypothesis makes of numbers, texts, bytes, arrays and classes arrives as it was sent."""

from __future__ import annotations

import array
import dataclasses
import datetime
import decimal
import enum
import fractions
import pickle
import uuid
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raddle._internal import serialization
from raddle._internal.serialization import OUT_OF_BAND
from tests.python.serialization.support import Worker, copies


@dataclasses.dataclass
class Importable:
    content: Any


class Suit(enum.Enum):
    HEARTS = "h"
    SPADES = "s"


def _local() -> tuple[Any, Any]:
    @dataclasses.dataclass
    class Local:
        content: Any

    class LocalSuit(enum.Enum):
        CLUBS = "c"

    return Local, LocalSuit


Local, LocalSuit = _local()

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.binary().map(bytearray)
    | st.just("__main__")
    | st.just(b"\x08__main__")
    | st.integers(OUT_OF_BAND - 2, OUT_OF_BAND + 2).map(bytes)
    | st.integers(OUT_OF_BAND - 2, OUT_OF_BAND + 2).map(bytearray)
    | st.binary().map(memoryview)
    | st.integers(OUT_OF_BAND - 2, OUT_OF_BAND + 2).map(lambda size: memoryview(bytes(size)))
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.datetimes()
    | st.uuids()
    | st.lists(st.integers(-100, 100)).map(lambda items: array.array("i", items))
    | st.sampled_from([*Suit, *LocalSuit])
    | st.sampled_from(
        [int, Importable, Local, Suit, LocalSuit, len, fractions.Fraction, decimal, uuid, datetime.UTC]
        if hasattr(datetime, "UTC")
        else [int, Importable, Local, Suit, LocalSuit, len]
    )
)
HASHABLE = (
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.sampled_from([*Suit, *LocalSuit])
)


def containers(inner: Any) -> Any:
    return (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
        | inner.map(Importable)
        | inner.map(Local)
    )


ANYTHING = st.recursive(ATOMS, containers, max_leaves=12)


def shape(value: Any) -> Any:
    """Return a value in a form that shows its types."""
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (Importable, Local)):
        return type(value), shape(value.content)
    if isinstance(value, memoryview):
        return memoryview, value.tobytes(), value.readonly
    return type(value), value


@given(
    args=st.lists(ANYTHING, max_size=3),
    kwargs=st.dictionaries(st.text(min_size=1, max_size=4), ANYTHING, max_size=2),
)
def test_calls(args: list[Any], kwargs: dict[str, Any]) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = serialization.dump_call(tuple(args), kwargs, buffers)
    back_args, back_kwargs = serialization.load_call(data, copies(buffers))
    assert shape(list(back_args)) == shape(args)
    assert shape(back_kwargs or {}) == shape(kwargs)
    again, _ = serialization.load_call(serialization.dump_call(tuple(args), kwargs))
    assert shape(list(again)) == shape(args)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=ANYTHING)
def test_there_and_back(worker: Worker, value: Any) -> None:
    assert shape(worker.run(lambda x: x, value)) == shape(value)


@given(value=ANYTHING)
def test_both_ways_of_dumping_load_as_the_same(value: Any) -> None:
    quick = serialization.dump_call((value,), None)
    tried = serialization.dump_call((value,), None, tried=True)
    assert shape(serialization.load_call(quick)[0]) == shape(serialization.load_call(tried)[0])
