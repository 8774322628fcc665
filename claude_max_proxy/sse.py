"""Server-sent events, both directions. Pure: bytes in, events out; no I/O.

Written from the WHATWG HTML standard, section 9.2.6, as far as JSON APIs use it: lines end in LF or
CRLF, never in CR alone.
"""

from __future__ import annotations

import msgspec


MAX_EVENT_BYTES = 64 * 1024 * 1024


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event: its ``event`` name (empty when the stream gives none) and its ``data``."""

    data: str
    event: str = ""


def encode(data: bytes, event: str = "") -> bytes:
    r"""Write one event whose data is a single line: ``encode(b"[DONE]")`` is ``b"data: [DONE]\n\n"``."""
    if event:
        return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"

    return b"data: " + data + b"\n\n"


class Decoder:
    """Reads events from bytes cut anywhere, also inside a character or a line end.

    An event larger than ``limit`` bytes raises :class:`ValueError`.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        """Begin at the start of a stream."""
        self._limit = limit
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._event = b""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take more bytes; give the events that they complete."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        events = []
        for rest in others:
            event = self._line(b"".join(self._pieces).removesuffix(b"\r"))
            self._pieces.clear()
            self._size += 1  # so that empty lines are bounded too
            self._keep(rest)
            if event is not None:
                events.append(event)
        return events

    def _keep(self, piece: bytes) -> None:
        """Keep a piece of the line that is not complete; all that an event holds counts."""
        if piece:
            self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            raise ValueError(f"a server-sent event is larger than {self._limit} bytes")

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()

        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._size = [], b"", 0
        if not data:
            return None

        return ServerSentEvent(b"\n".join(data).decode(), event.decode())
