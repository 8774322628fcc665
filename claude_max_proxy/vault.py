"""A place in which a dialect keeps what belongs to its clients, for all replicas of the proxy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec


__all__ = [
    "Kept",
    "Vault",
]


class Kept(msgspec.Struct, frozen=True):
    """One thing: its owner (see ``Client.owner``), its id, which nobody can guess, and its content.

    ``names`` are further names by which its owner can find it.
    """

    owner: str
    id: str
    content: bytes
    names: Sequence[str] = ()


class Vault(ABC):
    """Keeps things until they are too old or their owner has too many; all replicas find them.

    Nothing of one owner is ever found by another. Every method raises :class:`Unreachable` if it cannot be
    done now.
    """

    @abstractmethod
    async def put(self, thing: Kept) -> None:
        """Keep a thing. One that is too large is left out.

        While the others cannot be reached, it is kept here, and handed over when they can be.
        """

    @abstractmethod
    async def get(self, owner: str, id_: str) -> bytes | None:
        """Return the content of a thing of this owner, or ``None`` if there is none."""

    @abstractmethod
    async def find(self, owner: str, names: Sequence[str]) -> list[bytes]:
        """Return, for each of the names, the content of the owner's newest thing that has it.

        A thing that has several of them is returned once, and a name that nothing has is left out.
        """

    @abstractmethod
    async def delete(self, owner: str, id_: str) -> bool:
        """Delete a thing of this owner; return whether it existed."""
