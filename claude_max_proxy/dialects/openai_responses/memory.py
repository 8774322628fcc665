"""Stores responses in this process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from claude_max_proxy.dialects.openai_responses.store import Store
from claude_max_proxy.dialects.openai_responses.stored import ResponseStore, Stored


class MemoryStore(ResponseStore):
    """Stores at most ``most`` responses, of ``most_bytes`` in all, until the process ends."""

    def __init__(self, most: int, most_bytes: int, store: Store | None = None) -> None:
        """Begin with what is in ``store``."""
        self.store = store or Store()
        self._most = most
        self._most_bytes = most_bytes

    def __len__(self) -> int:
        """Return how many responses are stored."""
        return len(self.store)

    def taking_over(self, before: MemoryStore) -> MemoryStore:
        """Return a store with these bounds that goes on with what ``before`` has stored."""
        return MemoryStore(self._most, self._most_bytes, before.store)

    async def put(self, given: Stored) -> None:
        """Store a response, and forget the oldest if there are too many."""
        self.store.put(given, most=self._most, most_bytes=self._most_bytes)

    async def get(self, id_: str, key: str) -> Stored | None:
        """Return a response of this key."""
        return self.store.get(id_, key)

    async def delete(self, id_: str, key: str) -> bool:
        """Forget a response of this key."""
        return self.store.delete(id_, key)

    async def items(self, ids: Sequence[str], key: str) -> dict[str, dict[str, Any]]:
        """Return items of any responses of this key."""
        found = {id_: self.store.item(id_, key) for id_ in ids}
        return {id_: item for id_, item in found.items() if item is not None}

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget the responses of all other owners."""
        self.store.keep_only(owners)
