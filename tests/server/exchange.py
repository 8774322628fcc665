"""One HTTP exchange with an ASGI application, at a pace that the test decides; no HTTP client allows that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from claude_max_proxy.formats.sse import Decoder


class Exchange:
    """Sends a request, and keeps what the application sends; clear ``reading`` to hold its writes back."""

    def __init__(self, body: bytes, **headers: str) -> None:
        """Prepare to ask for a chat completion."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.writes: list[bytes] = []
        self.complete = False
        self.started = asyncio.Event()
        self._written = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self._left = asyncio.Event()
        self._body: bytes | None = body
        given = {"host": "127.0.0.1", "content-type": "application/json", **headers}
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 3456),
            "extensions": {},
            "state": {},
        }

    async def run(self, application: Any) -> None:
        """Run the application until its answer ends."""
        await application(self._scope, self._receive, self._send)

    def leave(self) -> None:
        """Hang up."""
        self._left.set()

    async def hears(self, words: bytes) -> None:
        """Wait until these words have been sent."""
        async with asyncio.timeout(5):
            while words not in self.body:
                self._written.clear()
                await self._written.wait()

    @property
    def body(self) -> bytes:
        """All bytes that were sent."""
        return b"".join(self.writes)

    @property
    def chunks(self) -> list[Any]:
        """The events of a stream, decoded, without the ``[DONE]`` at its end."""
        *events, done = Decoder().feed(self.body)
        assert done.data == "[DONE]"
        return [msgspec.json.decode(event.data) for event in events]

    @property
    def text(self) -> str:
        """The text in a stream's deltas."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return "".join(choice["delta"].get("content", "") for choice in choices)

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}

        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.started.set()
        else:
            self.writes.append(message["body"])
            self._written.set()
            self.complete = not message.get("more_body", False)


@asynccontextmanager
async def running(application: Any, exchange: Exchange) -> AsyncIterator[asyncio.Task[None]]:
    """Let an application answer in the background, until the end of the block."""
    task = asyncio.get_running_loop().create_task(exchange.run(application))
    try:
        yield task
    finally:
        exchange.reading.set()
        exchange.leave()
        await asyncio.wait_for(task, 5)


def chat(**fields: Any) -> bytes:
    """Return a body that asks for a streamed answer."""
    message = {"role": "user", "content": "hi"}
    return msgspec.json.encode({"model": "sonnet", "messages": [message], "stream": True, **fields})
