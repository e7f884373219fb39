"""Arrays, frames and tables travel without a copy in the pickle, and arrive writable or not as they were sent."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from raddle._internal import serialization
from raddle._internal.serialization import OUT_OF_BAND
from tests.python.serialization.support import Worker

np = pytest.importorskip("numpy")


def arrays() -> dict[str, Any]:
    square = np.arange(90_000, dtype=float).reshape(300, 300)
    frozen = square.copy()
    frozen.flags.writeable = False
    return {
        "C": square,
        "Fortran": np.asfortranarray(square),
        "transposed": square[:200].T,
        "rows": square[::2],
        "columns": square[:, ::3],
        "backwards": square[::-1, ::-1],
        "frozen": frozen,
        "scalar": np.float64(3.5),
        "no dimension": np.array(2.5),
        "empty": np.zeros((0, 3)),
        "structured": np.zeros(10_000, dtype=[("a", "i4"), ("b", "f8")]),
        "times": np.arange(10_000).astype("datetime64[s]"),
        "big-endian": np.arange(10_000, dtype=">i8"),
        "text": np.array(["abc", "defg"] * 5_000),
        "objects": np.array([1, "a", None, {"a": 1}], dtype=object),
        "masked": np.ma.masked_greater(np.arange(10_000), 100),
        "broadcast": np.broadcast_to(np.arange(300.0), (300, 300)),
    }


@pytest.mark.parametrize("name", arrays())
def test_an_array_there_and_back(worker: Worker, name: str) -> None:
    array = arrays()[name]
    back = worker.run(lambda x: x, array)
    assert type(back) is type(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(np.asarray(back), np.asarray(array))


@pytest.mark.parametrize("name", ["C", "Fortran", "transposed", "frozen", "structured", "big-endian", "text"])
def test_what_is_contiguous_goes_out_of_band(name: str) -> None:
    array = arrays()[name]
    buffers: list[pickle.PickleBuffer] = []
    data = serialization.dump_call((array,), None, buffers)
    assert [one.raw().nbytes for one in buffers] == [array.nbytes]
    assert len(data) < 1000
    assert np.shares_memory(np.frombuffer(buffers[0].raw(), "B"), array)


@pytest.mark.parametrize("name", ["rows", "columns", "backwards", "broadcast"])
def test_what_has_gaps_goes_out_of_band_as_a_copy(name: str) -> None:
    array = arrays()[name]
    buffers: list[pickle.PickleBuffer] = []
    data = serialization.dump_call(([array],), None, buffers)
    assert [one.raw().nbytes for one in buffers] == [array.nbytes]
    assert len(data) < 1000


def test_a_small_array_stays_in_the_pickle() -> None:
    buffers: list[pickle.PickleBuffer] = []
    serialization.dump_call((np.zeros(OUT_OF_BAND - 1, "B"),), None, buffers)
    assert not buffers


def test_what_arrives_is_writable_unless_it_was_not(worker: Worker) -> None:
    array = np.zeros(10_000)
    assert worker.run(lambda x: x.flags.writeable, array)
    assert worker.run(lambda x: x, array).flags.writeable
    array.flags.writeable = False
    assert not worker.run(lambda x: x.flags.writeable, array)

    def write(x: Any) -> Any:
        x[0] = 1
        return x

    mine = np.zeros(10_000)
    assert worker.run(write, mine)[0] == 1
    assert mine[0] == 0


def test_functions_of_numpy(worker: Worker) -> None:
    assert worker.run(np.add, 1, 2) == 3
    assert worker.run(np.linalg.norm, np.array([3.0, 4.0])) == 5
    assert worker.run(np.random.default_rng(3).integers, 10) == np.random.default_rng(3).integers(10)


def test_frames(worker: Worker) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": np.arange(10_000.0), "b": np.arange(10_000), "c": ["x", "y"] * 5_000})
    buffers: list[pickle.PickleBuffer] = []
    serialization.dump_call((frame,), None, buffers)
    assert buffers
    assert worker.run(lambda x: x, frame).equals(frame)
    assert worker.run(lambda x: float(x["a"].sum()), frame) == frame["a"].sum()


def test_tables(worker: Worker) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": np.arange(10_000.0), "b": ["x", "y"] * 5_000})
    buffers: list[pickle.PickleBuffer] = []
    serialization.dump_call((table,), None, buffers)
    assert buffers
    assert worker.run(lambda x: x, table).equals(table)
