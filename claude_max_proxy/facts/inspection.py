"""What was said in the last requests, for whoever shows it: only while somebody has switched that on.

A plugin that keeps it offers an :class:`Inspection`. Nothing of it may be written anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import msgspec

from claude_max_proxy.events import Usage


__all__ = [
    "HeldRequest",
    "Inspecting",
    "Inspection",
    "Piece",
    "PieceKind",
    "Said",
]

PieceKind = Literal["instructions", "message", "tool", "parameters", "answer"]


class Piece(msgspec.Struct, frozen=True):
    """One piece of a request or an answer, as text; ``title`` says whose it is, or what.

    ``missing`` is how many characters were cut off at the end; ``None`` if that was not counted.
    """

    kind: PieceKind
    title: str
    text: str
    missing: int | None = 0


class Said(msgspec.Struct, frozen=True):
    """A request at one moment; ``left_out`` is how many of its earlier messages were left out."""

    pieces: Sequence[Piece] = ()
    left_out: int = 0


class HeldRequest(msgspec.Struct, frozen=True):
    """One request with its answer.

    - ``id``, ``model``, ``key``, ``program``, ``path``: as in the request.
    - ``began``: when it arrived, in seconds since 1970.
    - ``came``: the request as the client sent it. ``sent``: as the backend got it; ``None`` if that is the
      same, or if it did not get that far.
    - ``answer``: the answer, as far as it has come; ``answered_by`` is the provider's name of the model.
    - ``ending``, ``status``, ``error``, ``finish``: as in the request's record; ``ending`` is empty while the
      request is being answered.
    """

    id: str
    began: float
    model: str
    key: str
    program: str
    path: str
    came: Said
    sent: Said | None = None
    answer: Sequence[Piece] = ()
    answered_by: str = ""
    usage: Usage | None = None
    ending: str = ""
    status: int = 0
    error: str = ""
    finish: str = ""


class Inspecting(msgspec.Struct, frozen=True):
    """Who has switched it on, until when (in seconds since 1970), and for which key and model.

    ``by`` and ``key`` are the names of API keys; ``by`` is empty without one. An empty ``key`` or ``model``
    stands for all; in ``model``, ``*`` stands for any text.
    """

    by: str
    until: float
    key: str = ""
    model: str = ""


class Inspection(ABC):
    """What was said in the last requests; a plugin finds it by ``context.find(Inspection)``."""

    @abstractmethod
    def state(self) -> Inspecting | None:
        """Return who has switched it on; ``None`` if it is off."""

    @abstractmethod
    def begin(self, seconds: float, by: str, key: str = "", model: str = "") -> None:
        """Keep what is said from now on, for so many seconds. What was kept before is wiped."""

    @abstractmethod
    def end(self, by: str) -> None:
        """Keep nothing any longer, and wipe what was kept."""

    @abstractmethod
    def requests(self) -> list[HeldRequest]:
        """Return the requests that are held, the newest first."""

    @abstractmethod
    def request(self, id: str) -> HeldRequest | None:
        """Return one request, or ``None`` if it is not held."""
