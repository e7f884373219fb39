"""`wait` and `as_completed` give back the futures that they got, in all of their type."""

import concurrent.futures

from typing_extensions import assert_type

from raddle.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait

StdlibFuture = concurrent.futures.Future

pool = ThreadPoolExecutor()
stdlib_pool = concurrent.futures.ThreadPoolExecutor()
numbers = [pool.submit(int), pool.submit(int)]
stdlib_futures = [stdlib_pool.submit(int)]

done, not_done = wait(numbers, timeout=1, return_when=FIRST_COMPLETED)
assert_type(done, set[Future[int]])
assert_type(not_done, set[Future[int]])
assert_type(wait(numbers).done, set[Future[int]])
assert_type(wait(pool.submit(int) for _ in range(2)).not_done, set[Future[int]])
assert_type(wait(stdlib_futures).not_done, set[StdlibFuture[int]])

for future in as_completed(numbers, timeout=1):
    assert_type(future, Future[int])
for made_here in as_completed(pool.submit(int) for _ in range(2)):
    assert_type(made_here, Future[int])
for one_or_other in as_completed([*numbers, *stdlib_futures]):
    assert_type(one_or_other.result(), int)

mixed: list[Future[int] | Future[str]] = [pool.submit(int), pool.submit(str)]
for number_or_text in as_completed(mixed):
    assert_type(number_or_text.result(), int | str)
assert_type(wait(mixed).done, set[Future[int] | Future[str]])

by_future: dict[Future[int], str] = dict.fromkeys(numbers, "url")
assert_type([by_future[future] for future in as_completed(by_future)], list[str])

wait([3])  # type: ignore[arg-type]
wait(numbers, "1")  # type: ignore[call-overload]
as_completed([3])  # type: ignore[arg-type]
