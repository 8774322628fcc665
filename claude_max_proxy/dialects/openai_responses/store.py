"""Stores responses in memory, up to a number and a size; the oldest are forgotten first.

Each response belongs to the secret of the API key that asked for it, and does not exist for other keys.
Histories share most of their items, so every item is stored once, however many responses it belongs to. The
size is the memory that all of this takes: the bytes, and what Python needs to hold, refer to and find them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from claude_max_proxy.dialects.openai_responses.stored import Stored, id_of


# The memory besides the bytes themselves, in bytes, as measured and rounded up.
_PER_RESPONSE = 1000
_PER_ITEM = 300
_PER_REFERENCE = 8
_PER_ID = 400


class Store:
    """The stored responses, by their ids."""

    def __init__(self) -> None:
        """Begin without responses."""
        self._responses: OrderedDict[str, Stored] = OrderedDict()
        self._shared: dict[bytes, tuple[bytes, int]] = {}
        self._homes: dict[tuple[str, str], str] = {}
        self._owners: Collection[str] | None = None
        self.size = 0

    def __len__(self) -> int:
        """Return how many responses are stored."""
        return len(self._responses)

    def put(self, given: Stored, *, most: int, most_bytes: int) -> None:
        """Store a response, and forget the oldest until there are at most ``most``, of ``most_bytes`` in all.

        A response that is larger than that, or that belongs to a revoked key, is not stored.
        """
        if self._owners is not None and given.key not in self._owners:
            return
        own = _own_size(given)
        if own + sum(len(raw) + _PER_ITEM for raw in set(given.items)) > most_bytes:
            return

        context, output = self._share(given.context), self._share(given.output)
        kept = msgspec.structs.replace(given, context=context, output=output)
        self._responses[kept.id] = kept
        self.size += own
        for home in _ids(kept):
            if home not in self._homes:
                self.size += _home_size(home)
            self._homes[home] = kept.id
        while len(self._responses) > most or self.size > most_bytes:
            self._drop(next(iter(self._responses)))

    def get(self, id_: str, key: str) -> Stored | None:
        """Return a response of this key, and keep it longer than responses that nobody asks for."""
        found = self._responses.get(id_)
        if found is None or found.key != key:
            return None

        self._responses.move_to_end(id_)
        return found

    def delete(self, id_: str, key: str) -> bool:
        """Forget a response of this key; return whether it existed."""
        if self.get(id_, key) is None:
            return False

        self._drop(id_)
        return True

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget the responses of all other owners, and store none of theirs from now on."""
        self._owners = owners
        for id_ in [id_ for id_, one in self._responses.items() if one.key not in owners]:
            self._drop(id_)

    def item(self, id_: str, key: str) -> dict[str, Any] | None:
        """Return an item of any response of this key, by the item's id."""
        home = self.get(self._homes.get((key, id_), ""), key)
        raw = next((raw for raw in home.items if id_of(raw) == id_), None) if home else None
        return msgspec.json.decode(raw) if raw else None

    def _share(self, items: Iterable[bytes]) -> tuple[bytes, ...]:
        return tuple(self._count(raw) for raw in items)

    def _count(self, raw: bytes) -> bytes:
        kept, count = self._shared.get(raw, (raw, 0))
        if not count:
            self.size += len(raw) + _PER_ITEM
        self._shared[kept] = (kept, count + 1)
        return kept

    def _drop(self, id_: str) -> None:
        gone = self._responses.pop(id_)
        self.size -= _own_size(gone)
        for raw in gone.items:
            kept, count = self._shared.pop(raw)
            if count > 1:
                self._shared[kept] = (kept, count - 1)
            else:
                self.size -= len(raw) + _PER_ITEM
        for home in _ids(gone):
            if self._homes.get(home) == id_:
                del self._homes[home]
                self.size -= _home_size(home)


def _own_size(stored: Stored) -> int:
    """Return the size of a response in bytes, without the items that it shares with others."""
    references = len(stored.context) + len(stored.output)
    return len(stored.body) + _PER_RESPONSE + _PER_REFERENCE * references


def _home_size(home: tuple[str, str]) -> int:
    return len(home[1]) + _PER_ID


def _ids(stored: Stored) -> Sequence[tuple[str, str]]:
    return [(stored.key, id_) for raw in stored.items if (id_ := id_of(raw))]
