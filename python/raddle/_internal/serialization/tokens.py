"""Names by which two processes speak of one object that has none of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Generic, TypeVar

from raddle._internal.serialization.recent import Recent

T = TypeVar("T")


class Tokens(Generic[T]):
    """Hashable objects of one kind, and the tokens by which other processes know them; the latest thousand."""

    def __init__(self) -> None:
        self._tokens: Recent[T, str] = Recent(1024)
        self._objects: Recent[str, T] = Recent(1024)

    def token_of(self, obj: T) -> str:
        """Return the token of an object of this process, or that under which it came."""
        token = self._tokens.get(obj)
        if token is None:
            token = self._tokens.keep(obj, uuid.uuid4().hex)
            self._objects.keep(token, obj)
        return token

    def find(self, token: str, make: Callable[[], T]) -> T:
        """Return the object that stands for a token here, after making it if there is none."""
        found = self._objects.get(token)
        if found is None:
            found = self._objects.keep(token, make())
            self._tokens.keep(found, token)
        return found
