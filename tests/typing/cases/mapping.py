"""`map` iterates over what the callable returns, and can be closed."""

from collections.abc import Iterator
from contextlib import closing

from typing_extensions import assert_type

from raddle.futures import ThreadPoolExecutor


def half(number: int) -> float:
    return number / 2


pool = ThreadPoolExecutor()
results = pool.map(half, [1, 2], timeout=1, chunksize=2, buffersize=3, ordered=False, progress=True)
assert_type(next(results), float)
assert_type(list(pool.map(pow, [1, 2], (3, 4))), list[int])
iterator: Iterator[float] = pool.map(half, range(3))
results.close()
with closing(pool.map(half, range(3))) as closed:
    assert_type(list(closed), list[float])

assert_type(list(pool.map(half, [1], return_exceptions=False)), list[float])
assert_type(list(pool.map(half, [1], return_exceptions=True)), list[float | BaseException])

view = pool.options(timeout=1)
assert_type(list(view.map(half, [1, 2])), list[float])
assert_type(list(view.map(half, [1], return_exceptions=True)), list[float | BaseException])
view.map(half, [1]).close()

texts: Iterator[str] = pool.map(half, [1])  # type: ignore[arg-type]
pool.map(half, 3)  # type: ignore[call-overload]
pool.map(half, [1], chunk_size=2)  # type: ignore[call-overload]
