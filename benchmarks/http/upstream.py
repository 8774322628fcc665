"""An OpenAI-compatible server that does as little as possible, so that it is never what slows down a proxy.

    python -m benchmarks.http.upstream

It prints its port, and serves until standard input ends. Every answer is a stream or a document with the same
words. ``[[deltas N MS]]`` in a question asks for N words, one every MS milliseconds; 0 means all at once.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from functools import cache
from types import TracebackType
from typing import Any, Self

import httptools
import uvloop

from claude_max_proxy.testing import words


MODEL = "fast"
WORDS = 8
_DIRECTIVE = re.compile(rb"\[\[deltas (\d+) (\d+)\]\]")
_STREAMED = re.compile(rb'"stream"\s*:\s*true')
_USAGE = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Upstream:
    """Runs the server as a separate process, inside of ``with``."""

    def __enter__(self) -> Self:
        """Start the server."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.http.upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the server."""
        self._process.communicate()


class Connection(asyncio.Protocol):
    """A connection over which one question at a time arrives."""

    def connection_made(self, transport: Any) -> None:
        """Note that the connection is made."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the client."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the question's body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer the question, since it is complete."""
        asked = _DIRECTIVE.search(self._body)
        count, pause = (int(asked[1]), int(asked[2]) / 1000) if asked else (WORDS, 0.0)
        streamed = _STREAMED.search(self._body)
        self._body.clear()
        if not streamed:
            self._transport.write(_whole(count))
        elif pause:
            self._transport.write(_STREAM_HEAD)
            self._give(_stream(count), 0, pause)
        else:
            self._transport.write(_STREAM_HEAD + b"".join(_stream(count)))

    def _give(self, pieces: tuple[bytes, ...], position: int, pause: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(pieces[position])
        if position + 1 < len(pieces):
            loop = asyncio.get_running_loop()
            loop.call_later(pause, self._give, pieces, position + 1, pause)


def _document(kind: str, choice: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "logprobs": None, "finish_reason": None, **choice}
    head = {"id": "chatcmpl-0123456789", "object": kind, "created": 1_750_000_000, "model": MODEL}
    return json.dumps({**head, "choices": [choice], **more}, separators=(",", ":")).encode()


@cache
def _whole(count: int) -> bytes:
    message = {"role": "assistant", "content": words(count), "refusal": None}
    body = _document("chat.completion", {"message": message, "finish_reason": "stop"}, usage=_USAGE)
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


@cache
def _stream(count: int) -> tuple[bytes, ...]:
    """Return the events of a stream as separate chunks; the last chunk contains all that ends the answer."""
    kind = "chat.completion.chunk"
    deltas: list[dict[str, str]] = [{"content": piece} for piece in re.findall(r"\s*\S+", words(count))]
    deltas[0]["role"] = "assistant"
    events = [_document(kind, {"delta": delta}) for delta in deltas]
    end = _document(kind, {"delta": {}, "finish_reason": "stop"}, usage=_USAGE)
    last = b"".join(b"data: %b\n\n" % event for event in (end, b"[DONE]"))
    return (*(_chunk(b"data: %b\n\n" % event) for event in events), _chunk(last) + _chunk(b""))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve())
