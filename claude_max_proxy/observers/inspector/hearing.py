"""Adds the events of an answer up to pieces of text, within bounds. Pure."""

from __future__ import annotations

import io

from claude_max_proxy import Event, Finished, PartDelta, PartEnded, PartStarted, Started, Usage
from claude_max_proxy.facts.inspection import Piece
from claude_max_proxy.observers.inspector.pieces import MOST_OF_A_PIECE, name


MOST_OF_AN_ANSWER = 200_000
"""In characters."""
_MOST_PIECES = 200
_TITLES = {"text": "assistant", "reasoning": "assistant · thinking"}


class Hearing:
    """One answer while it arrives."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.answered_by = ""
        self.usage: Usage | None = None
        self.finish = ""
        self.error = ""
        self._pieces: list[Piece] = []
        self._open: PartStarted | None = None
        self._text = io.StringIO()
        self._room = MOST_OF_AN_ANSWER
        self._taken = 0
        self._missing = 0
        self._left_out = 0

    def add(self, event: Event) -> int:
        """Add the next event; return how many characters are held because of it."""
        match event:
            case PartDelta():
                return self._write(event.text)
            case PartStarted():
                self._open = event
            case PartEnded():
                self._close(event)
            case Started():
                self.answered_by, self.usage = event.model, event.usage
            case Usage():
                self.usage = event
            case Finished():
                self.finish = event.reason
            case _:  # Failed
                self.error = event.error.message[:MOST_OF_A_PIECE]
        return 0

    def pieces(self) -> tuple[Piece, ...]:
        """Return what was said so far, an open part too."""
        found = [*self._pieces]
        if self._left_out:
            found.append(Piece("answer", f"{self._left_out} more parts", "", None))
        if self._open is not None:
            found.append(self._piece(self._open))
        return tuple(found)

    def _write(self, text: str) -> int:
        held = text[: min(self._room, MOST_OF_A_PIECE - self._taken)]
        self._text.write(held)
        self._room -= len(held)
        self._taken += len(held)
        self._missing += len(text) - len(held)
        return len(held)

    def _close(self, event: PartEnded) -> None:
        if self._open is not None:
            if len(self._pieces) < _MOST_PIECES:
                self._pieces.append(self._piece(self._open, redacted=event.redacted))
            else:
                self._left_out += 1
        self._open, self._text, self._taken, self._missing = None, io.StringIO(), 0, 0

    def _piece(self, start: PartStarted, *, redacted: bool = False) -> Piece:
        title = _TITLES.get(start.kind) or f"assistant · call of {name(start.name)}, {name(start.id)}"
        if redacted:
            title += ", which the provider does not show"
        return Piece("answer", title, self._text.getvalue(), self._missing)
