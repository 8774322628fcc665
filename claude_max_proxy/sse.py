"""Server-sent events, both directions. Pure: bytes in, events out; no I/O.

Written from the WHATWG HTML standard, section 9.2.6, as far as JSON APIs use it.
"""

from __future__ import annotations

from collections.abc import Iterator

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
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._event = b""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take more bytes; give each event that they complete."""
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) + self._size > self._limit:
            raise ValueError(f"a server-sent event is larger than {self._limit} bytes")
        for line in lines:
            event = self._line(line.rstrip(b"\r"))
            if event is not None:
                yield event

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()

        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._event = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._size = [], b"", 0
        if not data:
            return None

        return ServerSentEvent(b"\n".join(data).decode(), event.decode())
