"""Large bytes-like objects, out of band.

Pickle protocol 5 takes out of band what hands out a `PickleBuffer`, as arrays do. Exact `bytes` and `bytearray` do
not, nor does an array with gaps, such as every second row of another one: 100 MB of them would be copied into the
pickle and out again. A `memoryview` can't be pickled at all. What stands in the arguments, or one or two containers
deep, is therefore found first (`find`) and written as a *prelude* to the pickle:

    PROTO 5 │ [ large 0, large 1, … ] POP │ the object itself STOP

Each large object is written in the prelude as a call that rebuilds it from its buffer. Then the pickler is told that
it has seen the object itself, so that every reference to it, however deep, becomes a reference to the unpickler's
memo. Thus what is shared stays shared and nothing is copied or rewritten. The receiver's `bytes` and `bytearray` own
their memory, which costs one copy; a `memoryview` arrives as a view of the block, without any.
"""

from __future__ import annotations

import sys
from _pickle import PickleBuffer
from io import BytesIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    BufferCallback = Callable[[PickleBuffer], bool]

OUT_OF_BAND = 32 * 1024
"""From this size on, in bytes, a contiguous buffer travels beside the pickle rather than in it."""

_POP = b"0"
_FORMATS = frozenset("cbB?hHiIlLqQnNfdP")  # those of one item, native, that bytes can be cast to

SCAN_DEPTH = 2
SCAN_ITEMS = 64
"""How many containers deep is looked, and into containers of how many items: the scan must cost next to nothing."""


def _has_gaps(array: Any) -> bool:
    # NumPy copies such an array into the pickle.
    numpy = sys.modules.get("numpy")
    return (
        numpy is not None
        and type(array) is numpy.ndarray
        and array.nbytes >= OUT_OF_BAND
        and not array.flags.forc
        and not array.dtype.hasobject
    )


def find(values: Iterable[Any], depth: int = SCAN_DEPTH) -> list[Any]:
    """List the large bytes-like objects among these values and in their lists, tuples and dicts."""
    found: list[Any] = []
    for value in values:
        kind = type(value)
        if kind is bytes or kind is bytearray:
            if len(value) >= OUT_OF_BAND:
                found.append(value)
        elif kind is memoryview:
            if value.nbytes >= OUT_OF_BAND:
                found.append(value)
        elif depth and (kind is list or kind is tuple):
            if 0 < len(value) <= SCAN_ITEMS:
                found += find(value, depth - 1)
        elif depth and kind is dict:
            if 0 < len(value) <= SCAN_ITEMS:
                found += find(list(value.values()), depth - 1)
        elif kind.__name__ == "ndarray" and _has_gaps(value):
            found.append(value)
    return found


def taking(buffers: list[PickleBuffer]) -> BufferCallback:
    """Make the `buffer_callback` that takes large buffers out of band, into this list."""

    def take(buffer: PickleBuffer) -> bool:
        with buffer.raw() as raw:
            if raw.nbytes < OUT_OF_BAND:
                return True
        buffers.append(buffer)
        return False

    return take


class Large:
    """Stands for a large object in the prelude."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self.value) is memoryview:
            return reduce_view(self.value)
        if type(self.value) in (bytes, bytearray):
            return type(self.value), (PickleBuffer(self.value),)
        reduced: tuple[Any, ...] = self.value.copy(order="C").__reduce_ex__(5)
        return reduced


def reduce_view(view: memoryview) -> tuple[Any, ...]:
    """Reduce a memoryview to a view of its buffer; one with gaps arrives contiguous."""
    if view.format.lstrip("@") not in _FORMATS:
        raise TypeError(f"cannot pickle 'memoryview' object of format {view.format!r}")
    content: Any = PickleBuffer(view if view.c_contiguous else view.tobytes())
    return rebuild_view, (content, view.format, view.shape, view.readonly)


def rebuild_view(content: Any, form: str, shape: tuple[int, ...], readonly: bool) -> memoryview:
    """View a received buffer as the sender's memoryview did."""
    view = memoryview(content).cast("B")
    if (form, shape) != ("B", (view.nbytes,)):
        # An empty shape can't be cast to.
        cast: Any = view.cast
        view = cast(form, shape) if 0 not in shape else cast(form)
    return view.toreadonly() if readonly else view


def dump_with_prelude(pickler: Any, stream: BytesIO, found: Sequence[Any], obj: object) -> bytes:
    """Pickle an object after the large ones that were found in it.

    Args:
        pickler: a fresh one, with protocol 5 and a buffer callback.
        stream: what it writes to.
        found: the large objects.
        obj: what they were found in.
    """
    large = [Large(value) for value in {id(value): value for value in found}.values()]
    pickler.dump(large)
    memo = pickler.memo.copy()
    for one in large:
        index, _ = memo.pop(id(one))
        memo[id(one.value)] = index, one.value
    pickler.memo = memo
    # The list is dropped, with POP in the place of STOP.
    stream.seek(-1, 1)
    stream.write(_POP)
    pickler.dump(obj)
    return stream.getvalue()
