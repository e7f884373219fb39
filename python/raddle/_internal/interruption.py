"""What leaves a `with` block because somebody wants it to end now."""

from __future__ import annotations


def is_interruption(kind: type[BaseException] | None) -> bool:
    """Tell whether an exception class means Ctrl-C: `KeyboardInterrupt`, or what asyncio makes of it in a coroutine."""
    return kind is not None and (
        issubclass(kind, KeyboardInterrupt) or any(map(_is_of_asyncio, kind.__mro__))
    )


def _is_of_asyncio(kind: type) -> bool:
    # By name: whoever has no coroutines is not to wait for asyncio's import.
    return (kind.__module__, kind.__name__) == ("asyncio.exceptions", "CancelledError")
