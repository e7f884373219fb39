"""Large buffers travel beside the pickle, and arrive as what they were."""

from __future__ import annotations

import array
import ctypes
import pickle
from typing import Any

import pytest

from raddle._internal import serialization
from raddle._internal.serialization import OUT_OF_BAND
from tests.python.serialization.support import Worker, copies

LARGE = bytes(range(256)) * (OUT_OF_BAND // 256)


def sent(*args: Any, **kwargs: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    buffers: list[pickle.PickleBuffer] = []
    return serialization.dump_call(args, kwargs, buffers), buffers


def received(data: bytes, buffers: list[pickle.PickleBuffer]) -> tuple[Any, Any]:
    args, kwargs = serialization.load_call(data, copies(buffers))
    return args, kwargs


@pytest.mark.parametrize("large", [LARGE, bytearray(LARGE), memoryview(LARGE), memoryview(bytearray(LARGE))])
@pytest.mark.parametrize(
    "shape",
    [
        lambda x: x,
        lambda x: [x],
        lambda x: (1, {"a": x}),
        lambda x: {"a": [1, x]},
        lambda x: [x, x],
    ],
)
def test_large_bytes_go_out_of_band(large: Any, shape: Any) -> None:
    value = shape(large)
    data, buffers = sent(value)
    assert len(data) < 1000
    assert len(buffers) == 1
    assert memoryview(buffers[0]).nbytes == len(LARGE)
    (back,), kwargs = received(data, buffers)
    assert back == value
    assert kwargs is None


def test_keyword_arguments_too() -> None:
    data, buffers = sent(1, key=LARGE)
    assert len(buffers) == 1
    assert received(data, buffers) == ((1,), {"key": LARGE})


@pytest.mark.parametrize("size", [OUT_OF_BAND - 1, OUT_OF_BAND])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_limit(kind: Any, size: int) -> None:
    data, buffers = sent(kind(size))
    assert len(buffers) == (size >= OUT_OF_BAND)
    assert received(data, buffers) == ((kind(size),), None)


def test_types_are_kept() -> None:
    data, buffers = sent(LARGE, bytearray(LARGE), memoryview(LARGE))
    (exact, changeable, view), _ = received(data, buffers)
    assert [type(exact), type(changeable), type(view)] == [bytes, bytearray, memoryview]
    assert view.readonly


def test_what_is_shared_stays_shared() -> None:
    large = bytearray(LARGE)
    inner = [large]
    data, buffers = sent(large, inner, {"deep": [[[[large]]]]}, inner)
    assert len(buffers) == 1
    (one, two, three, four), _ = received(data, buffers)
    assert two is four
    assert one is two[0] is three["deep"][0][0][0][0]


def test_a_container_that_holds_itself() -> None:
    loop: list[Any] = [LARGE]
    loop.append(loop)
    data, buffers = sent(loop)
    (back,), _ = received(data, buffers)
    assert back[1] is back
    assert back[0] == LARGE


def test_what_stands_too_deep_stays_in_the_pickle() -> None:
    data, buffers = sent([[[LARGE]]])
    assert not buffers
    assert received(data, buffers) == (([[[LARGE]]],), None)


def test_without_buffers_all_is_in_the_pickle() -> None:
    data = serialization.dump_call((LARGE, bytearray(LARGE), memoryview(LARGE)), None)
    args, _ = serialization.load_call(data)
    assert args == (LARGE, bytearray(LARGE), memoryview(LARGE))


def test_a_large_buffer_beside_something_that_goes_by_value() -> None:
    class Local:
        pass

    data, buffers = sent(LARGE, Local, lambda: 1)
    assert len(buffers) == 1
    (back, cls, function), _ = received(data, buffers)
    assert (back, cls, function()) == (LARGE, Local, 1)


def test_an_error_leaves_no_buffers() -> None:
    buffers: list[pickle.PickleBuffer] = []
    with pytest.raises(TypeError):
        serialization.dump_call((LARGE, (x for x in "")), None, buffers)
    assert not buffers


VIEWS = {
    "small": memoryview(b"abc"),
    "empty": memoryview(b""),
    "doubles": memoryview(array.array("d", range(10_000))),
    "few doubles": memoryview(array.array("d", [1.5])),
    "matrix": memoryview(array.array("i", range(10_000))).cast("B").cast("i", (100, 100)),
    "step": memoryview(LARGE * 2)[::2],
    "backwards": memoryview(LARGE)[::-1],
    "changeable": memoryview(bytearray(LARGE)),
    "single": memoryview(array.array("d", [2.5])).cast("B").cast("d", ()),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("in_band", [False, True])
def test_views(name: str, in_band: bool) -> None:
    view = VIEWS[name]
    if in_band:
        args, _ = serialization.load_call(serialization.dump_call((view,), None))
    else:
        args, _ = received(*sent(view))
    (back,) = args
    assert type(back) is memoryview
    assert (back.format, back.shape, back.tolist()) == (view.format, view.shape, view.tolist())
    assert back.readonly == view.readonly


def test_a_view_that_could_not_be_made_again_is_refused() -> None:
    class Big(ctypes.BigEndianStructure):
        _fields_ = (("x", ctypes.c_int32),)

    with pytest.raises(TypeError, match="is a memoryview, which can't be pickled"):
        sent(memoryview(Big(1)))


def test_a_worker_may_write_to_what_it_received(worker: Worker) -> None:
    mine = bytearray(LARGE)

    def write(one: Any, view: Any) -> tuple[int, int]:
        one[0] = view[0] = 99
        return one[0], view[0]

    assert worker.run(write, mine, memoryview(mine)) == (99, 99)
    assert mine[0] == 0


def test_results(worker: Worker) -> None:
    assert worker.run(lambda size: {"a": [bytearray(size)]}, OUT_OF_BAND) == {"a": [bytearray(OUT_OF_BAND)]}
    assert worker.run(lambda x: x, LARGE) == LARGE
    assert worker.run(lambda x: memoryview(x), LARGE) == LARGE
