"""Names by which two processes speak of one object that has none of its own."""

from __future__ import annotations

import os

from raddle._internal.serialization.recent import Recent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def new_token() -> str:
    """Return a name that no other process makes, even one that was forked from this one."""
    return os.urandom(16).hex()


class Tokens:
    """Hashable objects of one kind, and the tokens by which other processes know them; the latest thousand."""

    def __init__(self) -> None:
        self._tokens: Recent[Any, str] = Recent(1024)
        self._objects: Recent[str, Any] = Recent(1024)

    def token_of(self, obj: Any) -> str:
        """Return the token of an object of this process, or that under which it came."""
        token = self._tokens.get(obj)
        if token is None:
            token = self._tokens.keep(obj, new_token())
            self._objects.keep(token, obj)
        return token

    def find(self, token: str, make: Callable[[], Any]) -> Any:
        """Return the object that stands for a token here, after making it if there is none."""
        found = self._objects.get(token)
        if found is None:
            found = self._objects.keep(token, make())
            self._tokens.keep(found, token)
        return found
