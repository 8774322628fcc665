"""What can be seen of the replicas of the proxy that are alive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec


__all__ = [
    "ReplicaFacts",
    "Replicas",
]


class ReplicaFacts(msgspec.Struct, frozen=True):
    """One replica, as it was when it last said that it is alive.

    - ``name``: its name; several replicas may have the same one.
    - ``address``: where it listens; empty if that is this machine only.
    - ``version``: the version of the proxy.
    - ``age``: seconds since its start; ``seen``: seconds since it last said that it is alive.
    - ``running``: how many requests it was answering; ``processes``: how many processes its backends ran.
    - ``here``: whether it is this one.
    """

    name: str
    address: str = ""
    version: str = ""
    age: float = 0.0
    seen: float = 0.0
    running: int = 0
    processes: int = 0
    here: bool = False


class Replicas(ABC):
    """The replicas that share a database; a plugin finds them by ``context.find(Replicas)``."""

    @abstractmethod
    def facts(self) -> Sequence[ReplicaFacts]:
        """Return every replica that was alive a moment ago, this one too, by their names."""
