"""Encodes and decodes server-sent events. Pure.

This follows section 9.2.6 of the WHATWG HTML standard, as much of it as JSON APIs use: lines end in LF or
CRLF, never in CR alone.
"""

from __future__ import annotations

import msgspec


MAX_EVENT_BYTES = 64 * 1024 * 1024


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event: its ``event`` name (empty if the stream has none) and its ``data``."""

    data: str
    event: str = ""


def encode(data: bytes, event: str = "") -> bytes:
    r"""Encode an event whose data is a single line: ``encode(b"[DONE]")`` is ``b"data: [DONE]\n\n"``."""
    if event:
        return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"

    return b"data: " + data + b"\n\n"


class Opening:
    """Tells by an answer's first bytes whether it is a document, of JSON or HTML, instead of a stream."""

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._begun = False

    def is_document(self, piece: bytes) -> bool:
        """Take the next bytes; return whether an answer that is no stream begins with them."""
        if self._begun or not (written := piece.lstrip()):
            return False

        self._begun = True
        return written[:1] in {b"{", b"[", b"<"}


class Decoder:
    """Reads events from bytes that may be cut anywhere, even inside a character or a line end."""

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        """Begin at the start of a stream; an event may have ``limit`` bytes."""
        self._limit = limit
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._event = b""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take more bytes, and return the events that they complete.

        Raises :class:`ValueError` for an event that is too large.
        """
        first, *others = chunk.split(b"\n")
        self._keep(first)
        events = []
        for rest in others:
            event = self._line(b"".join(self._pieces).removesuffix(b"\r"))
            self._pieces.clear()
            self._size += 1  # this bounds the number of empty lines too
            self._keep(rest)
            if event is not None:
                events.append(event)
        return events

    def _keep(self, piece: bytes) -> None:
        """Keep a piece of an incomplete line; everything that belongs to the event counts for its size."""
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
