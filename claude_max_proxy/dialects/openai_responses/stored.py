"""A stored response, and what every store of them can do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import msgspec


class Stored(msgspec.Struct, frozen=True):
    """One response: its body, all items that led to it, and its output; each item is JSON.

    ``key`` is its owner, as in ``Client.owner``.
    """

    id: str
    key: str
    body: bytes
    context: tuple[bytes, ...]
    output: tuple[bytes, ...]

    @property
    def items(self) -> tuple[bytes, ...]:
        """All items, in the order of the conversation."""
        return (*self.context, *self.output)


class ResponseStore(Protocol):
    """Stores responses within bounds. Each belongs to an owner, and does not exist for others."""

    async def put(self, given: Stored) -> None:
        """Store a response, unless it is too large."""

    async def get(self, id_: str, key: str) -> Stored | None:
        """Return a response of this key, or ``None``."""

    async def delete(self, id_: str, key: str) -> bool:
        """Forget a response of this key; return whether it existed."""

    async def items(self, ids: Sequence[str], key: str) -> dict[str, dict[str, Any]]:
        """Return items of any responses of this key by their ids; those that do not exist are left out."""

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget the responses of all other owners, and store none of theirs from now on."""


class _Named(msgspec.Struct):
    id: str | None = None


_named = msgspec.json.Decoder(_Named)


def id_of(raw: bytes) -> str | None:
    """Return the id of an item, if it has one."""
    try:
        return _named.decode(raw).id
    except msgspec.ValidationError:  # a client may send any value as the id of an item
        return None
