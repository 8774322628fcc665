"""Responses that were given, kept in memory for a while: bounded in number and bytes, the oldest go first.

Each belongs to the API key that asked for it and is not there for any other. Histories share most of their
items, so every item is kept once, however many responses it led to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


class Stored(msgspec.Struct, frozen=True):
    """One response: its body, all items that led to it, and its output; each item is JSON."""

    id: str
    key: str
    body: bytes
    context: tuple[bytes, ...]
    output: tuple[bytes, ...]

    @property
    def items(self) -> tuple[bytes, ...]:
        """All its items, in the order of the conversation."""
        return (*self.context, *self.output)


class Store:
    """The responses, by id."""

    def __init__(self) -> None:
        """Begin with none."""
        self._responses: OrderedDict[str, Stored] = OrderedDict()
        self._shared: dict[bytes, tuple[bytes, int]] = {}
        self._homes: dict[tuple[str, str], str] = {}
        self.size = 0

    def __len__(self) -> int:
        """Count the responses."""
        return len(self._responses)

    def put(self, given: Stored, *, most: int, most_bytes: int) -> None:
        """Keep one more, and let go of the oldest until there are no more than ``most`` and ``most_bytes``.

        One that is larger than all the room there is, is not kept.
        """
        if len(given.body) + sum(map(len, given.items)) > most_bytes:
            return

        context, output = self._share(given.context), self._share(given.output)
        kept = msgspec.structs.replace(given, context=context, output=output)
        self._responses[kept.id] = kept
        self.size += len(kept.body)
        for raw in kept.items:
            if id_ := _id_of(raw):
                self._homes[kept.key, id_] = kept.id
        while len(self._responses) > most or self.size > most_bytes:
            self._drop(next(iter(self._responses)))

    def get(self, id_: str, key: str) -> Stored | None:
        """Return a response of this key, and keep it longer than those that nobody asks for."""
        found = self._responses.get(id_)
        if found is None or found.key != key:
            return None

        self._responses.move_to_end(id_)
        return found

    def delete(self, id_: str, key: str) -> bool:
        """Let go of a response of this key; tell whether it was there."""
        if self.get(id_, key) is None:
            return False

        self._drop(id_)
        return True

    def item(self, id_: str, key: str) -> dict[str, Any] | None:
        """Find an item of any response of this key, by the item's own id."""
        home = self.get(self._homes.get((key, id_), ""), key)
        raw = next((raw for raw in home.items if _id_of(raw) == id_), None) if home else None
        return msgspec.json.decode(raw) if raw else None

    def _share(self, items: Iterable[bytes]) -> tuple[bytes, ...]:
        return tuple(self._count(raw) for raw in items)

    def _count(self, raw: bytes) -> bytes:
        kept, count = self._shared.get(raw, (raw, 0))
        if not count:
            self.size += len(raw)
        self._shared[kept] = (kept, count + 1)
        return kept

    def _drop(self, id_: str) -> None:
        gone = self._responses.pop(id_)
        self.size -= len(gone.body)
        for raw in gone.items:
            kept, count = self._shared.pop(raw)
            if count > 1:
                self._shared[kept] = (kept, count - 1)
            else:
                self.size -= len(raw)
        for home in _ids(gone):
            if self._homes.get(home) == id_:
                del self._homes[home]


class _Named(msgspec.Struct):
    id: str | None = None


_named = msgspec.json.Decoder(_Named)


def _id_of(raw: bytes) -> str | None:
    try:
        return _named.decode(raw).id
    except msgspec.ValidationError:  # a client's item may carry anything as its id
        return None


def _ids(stored: Stored) -> Sequence[tuple[str, str]]:
    return [(stored.key, id_) for raw in stored.items if (id_ := _id_of(raw))]
