"""Queues of items of a type, at either end."""

from typing_extensions import assert_type

from raddle.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue

numbers: Queue[int] = Queue(maxsize=3)
numbers.put(1)
numbers.put("text")  # type: ignore[arg-type]
assert_type(numbers.get(timeout=1), int)
assert_type(numbers.get_many(3), list[int])
numbers.put_many([1, 2])
numbers.put_many(["text"])  # type: ignore[list-item]
assert_type(list(numbers), list[int])
numbers.shutdown(immediate=True)

entries: PriorityQueue[tuple[int, str]] = PriorityQueue()
assert_type(entries.get_nowait(), tuple[int, str])
stack = LifoQueue[str]()
assert_type(stack.get(), str)
simple: SimpleQueue[bytes] = SimpleQueue()
simple.put(b"item")
assert_type(simple.get(False), bytes)


async def coroutine() -> None:
    await numbers.aput(1)
    await numbers.aput("text")  # type: ignore[arg-type]
    assert_type(await numbers.aget(), int)
    assert_type(await numbers.aget_many(2, timeout=1), list[int])
    await numbers.aput_many((1, 2))
    await numbers.ajoin()
    async for number in numbers:
        assert_type(number, int)
    assert_type(await simple.aget(), bytes)


class Unique(Queue[int]):
    def _init(self, maxsize: int) -> None:
        self.queue = set()

    def _put(self, item: int) -> None:
        self.queue.add(item)
