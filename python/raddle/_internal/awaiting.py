"""Awaiting a future from asyncio, from any number of loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from raddle._internal.future import Future

T = TypeVar("T")


async def outcome_of(future: Future[T]) -> T:
    """Wait for a future in the running loop.

    Args:
        future: the future; it may end in any thread.

    Returns:
        Its result.

    Raises:
        asyncio.CancelledError: the future was cancelled, or the awaiting task was; in the latter case the future is
            cancelled too when nobody else waits for it.
    """
    if not future.done():
        loop = asyncio.get_running_loop()
        arrival: asyncio.Future[None] = loop.create_future()

        def ring(_: object) -> None:
            try:
                loop.call_soon_threadsafe(_settle, arrival)
            except RuntimeError:
                # The loop has been closed: nobody waits there any more.
                pass

        future._add_awaiter()
        future.add_done_callback(ring)
        try:
            await arrival
        except asyncio.CancelledError:
            future._remove_done_callback(ring)
            future._remove_awaiter(True)
            raise
        except BaseException:
            future._remove_done_callback(ring)
            future._remove_awaiter(False)
            raise
        future._remove_awaiter(False)
    if future.cancelled():
        raise asyncio.CancelledError
    try:
        return future.result()
    finally:
        # What was raised holds this frame, and the future what was raised.
        del future


def _settle(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)
