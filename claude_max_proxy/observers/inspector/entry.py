"""One request that is held, with its answer as it arrives."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from claude_max_proxy import Event, Record, Request
from claude_max_proxy.facts.inspection import HeldRequest, Piece, Said
from claude_max_proxy.observers.inspector.hearing import Hearing
from claude_max_proxy.observers.inspector.pieces import name, pieces


_MOST_OF_A_CHARACTER = 4  # bytes
_AROUND_A_PIECE = 200  # bytes, roughly
_MOST_OF_AN_ERROR = 2000


class Entry:
    """Holds what was said until it is wiped; after that, it takes nothing any more.

    ``size`` is roughly how many bytes of memory it has.
    """

    def __init__(self, request: Request) -> None:
        """Hold the request as it came."""
        self.id = request.id
        self.wiped = False
        self._began = time.time()
        self._client, self._model, self._path = request.client, name(request.model), name(request.path)
        self._came, self._sent = pieces(request), Said()
        self._differs = False
        self._hearing = Hearing()
        self._record: Record | None = None
        self.size = _size(self._came.pieces)

    def leave(self, request: Request) -> None:
        """Hold the request as the backend gets it, if that is something else."""
        self._sent = pieces(request)
        self._differs = self._sent != self._came
        if self._differs:
            known = {one: one for one in self._came.pieces}
            self._sent = Said(tuple(known.get(one, one) for one in self._sent.pieces), self._sent.left_out)
            self.size += _size(one for one in self._sent.pieces if one not in known)

    def hear(self, event: Event) -> None:
        """Hold an event of the answer."""
        self.size += self._hearing.add(event) * _MOST_OF_A_CHARACTER

    def close(self, record: Record) -> None:
        """Note how it ended."""
        self._record = record

    def wipe(self) -> None:
        """Forget everything."""
        self.wiped, self.size = True, 0
        self._came = self._sent = Said()
        self._hearing, self._record = Hearing(), None

    def held(self) -> HeldRequest:
        """Return what is held now."""
        record = self._record or Record("", status=0)
        return HeldRequest(
            id=self.id,
            began=self._began,
            model=self._model,
            key=self._client.key,
            program=name(self._client.program),
            path=self._path,
            came=self._came,
            sent=self._sent if self._differs else None,
            answer=self._hearing.pieces(),
            answered_by=self._hearing.answered_by,
            usage=self._hearing.usage,
            ending=record.ending,
            status=record.status,
            error=(self._hearing.error or record.error)[:_MOST_OF_AN_ERROR],
            finish=self._hearing.finish,
        )


def _size(found: Iterable[Piece]) -> int:
    return sum(sys.getsizeof(one.text) + _AROUND_A_PIECE for one in found)
