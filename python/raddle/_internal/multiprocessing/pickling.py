"""Pickling as `multiprocessing` does it, with less around it.

`ForkingPickler.dumps` makes an object in Python for each call. Here it is the plain pickler that is made, with a
table of reducers that leads to the same ones.
"""

from __future__ import annotations

import copyreg
import io
from multiprocessing.reduction import ForkingPickler
from pickle import Pickler
from typing import Any


class _Reducers(dict[Any, Any]):
    """What `multiprocessing` and `copyreg` have registered, as it is at the moment."""

    def __missing__(self, cls: Any) -> Any:
        reducer = ForkingPickler._extra_reducers.get(cls)  # type: ignore[attr-defined,unused-ignore]
        return copyreg.dispatch_table[cls] if reducer is None else reducer


_REDUCERS = _Reducers()


def dump(thing: object) -> bytes:
    """Return what `ForkingPickler.dumps` would, as bytes."""
    buffer = io.BytesIO()
    pickler = Pickler(buffer)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(thing)
    return buffer.getvalue()
