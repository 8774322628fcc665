"""Stores responses in the vault of all replicas."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from claude_max_proxy.dialects.openai_responses.stored import ResponseStore, Stored, id_of
from claude_max_proxy.vault import Kept, Vault


class _Content(msgspec.Struct, array_like=True):
    """A response as it lies in the vault, which knows its owner and its id."""

    body: bytes
    context: tuple[bytes, ...]
    output: tuple[bytes, ...]


_decoder = msgspec.msgpack.Decoder(_Content)


class VaultedStore(ResponseStore):
    """Stores responses where every replica finds them; the vault bounds and prunes them."""

    def __init__(self, vault: Vault) -> None:
        """Store in ``vault``."""
        self._vault = vault
        self._owners: Collection[str] | None = None

    async def put(self, given: Stored) -> None:
        """Store a response; the ids of its items are names by which it is found, too."""
        if self._owners is not None and given.key not in self._owners:
            return
        content = msgspec.msgpack.encode(_Content(given.body, given.context, given.output))
        names = tuple(dict.fromkeys(id_ for raw in given.items if (id_ := id_of(raw))))
        await self._vault.put(Kept(given.key, given.id, content, names))

    async def get(self, id_: str, key: str) -> Stored | None:
        """Return a response of this key."""
        found = await self._vault.get(key, id_)
        if found is None:
            return None
        content = _decoder.decode(found)
        return Stored(id_, key, content.body, content.context, content.output)

    async def delete(self, id_: str, key: str) -> bool:
        """Forget a response of this key."""
        return await self._vault.delete(key, id_)

    async def items(self, ids: Sequence[str], key: str) -> dict[str, dict[str, Any]]:
        """Return items of any responses of this key."""
        found: dict[str, dict[str, Any]] = {}
        for raw in await self._vault.find(key, ids) if ids else ():
            content = _decoder.decode(raw)
            for item in (*content.context, *content.output):
                if (id_ := id_of(item)) in ids and id_ is not None:
                    found[id_] = msgspec.json.decode(item)
        return found

    def keep_only(self, owners: Collection[str]) -> None:
        """Store nothing more for other owners; nobody can read what they have, until it is pruned."""
        self._owners = owners
