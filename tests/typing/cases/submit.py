"""`submit` takes what the callable takes, and its future holds what the callable returns."""

from typing_extensions import assert_type

from raddle.futures import Future, ThreadPoolExecutor


def area(width: int, height: int = 1, *, unit: str = "m") -> float:
    raise NotImplementedError(unit, width * height)


class Circle:
    def __init__(self, radius: float) -> None: ...

    def scaled(self, factor: float) -> "Circle":
        raise NotImplementedError(factor)


pool = ThreadPoolExecutor(max_workers=2)
assert_type(pool.submit(area, 2), Future[float])
assert_type(pool.submit(area, 2, 3, unit="cm"), Future[float])
assert_type(pool.submit(area, 2).result(timeout=1), float)
assert_type(pool.submit(Circle, 1.0), Future[Circle])
assert_type(pool.submit(Circle(1.0).scaled, factor=2.0), Future[Circle])
assert_type(pool.submit(lambda: "text"), Future[str])
assert_type(pool.submit(pool.submit, area, 2), Future[Future[float]])

pool.submit()  # type: ignore[call-arg]
pool.submit(3)  # type: ignore[arg-type]
pool.submit(area)  # type: ignore[call-arg]
pool.submit(area, "2")  # type: ignore[arg-type]
pool.submit(area, 2, unit=3)  # type: ignore[arg-type]
pool.submit(area, 2, units="cm")  # type: ignore[call-arg]
pool.submit(fn=area, width=2)  # type: ignore[call-arg]

view = pool.options(timeout=1.5, retries=2, retry_on=OSError, backoff=0.1, priority=1, name="area")
assert_type(view.submit(area, 2, unit="cm"), Future[float])
view.submit(area)  # type: ignore[call-arg]
view.submit(area, "2")  # type: ignore[arg-type]
