"""Sends an answer over one connection, and notices when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import msgspec

from claude_max_proxy.testing import events
from claude_max_proxy.testing.answers import Answer, Drop, ErrorEvent, Fault, Hang, Reply, fault
from claude_max_proxy.testing.events import batches, new_id, paced_batches


Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BATCH = 64
"""How many events are written at once if there is no pace: enough for the fake not to slow down a test."""
BREAK_DELAY = 0.05
"""Seconds between the last delta and a break. If a client got both at once, it might discard deltas that it
has not read yet, and then the answer would not break off in the middle."""


class Wire(Protocol):
    """The API that is spoken; the modules `events` and `openai_events` implement this interface."""

    def stream(self, reply: Reply, model: str) -> list[bytes]:
        """Return all events of a reply."""

    def message(self, reply: Reply, model: str) -> dict[str, Any]:
        """Return a reply as one JSON document."""

    def opening(self, deltas: int, model: str) -> list[bytes]:
        """Return the events of a reply that breaks off after this many text deltas."""

    def error_event(self, type_name: str, message: str) -> bytes:
        """Return the event that ends a stream which has failed in the middle."""

    def is_delta(self, frame: bytes) -> bool:
        """Return whether this event is a piece of content."""

    def envelope(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """Return the JSON of an HTTP error."""


class Delivery:
    """Sends one answer to the client.

    `left` becomes true if the client leaves before the end of the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, wire: Wire = events) -> None:
        """Prepare to answer the request of this ASGI scope, to which `Listener` has added its transport."""
        self._wire = wire
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self._receive = receive
        self._send = send
        self.left = False

    async def give(self, answer: Answer, body: dict[str, Any]) -> bool:
        """Send the answer to a request with this body; return whether it was sent completely."""
        model = str(body.get("model", "claude-fake"))
        if body.get("stream") is True:
            return await self._give_stream(answer, model)
        return await self._give_whole(answer, model)

    async def give_json(
        self, value: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> bool:
        """Send a JSON document; return whether the client was still there."""
        content = msgspec.json.encode(value)
        await self._start(status, "application/json", headers or {}, len(content))
        return await self._write(content, more=False)

    async def _give_stream(self, answer: Answer, model: str) -> bool:
        match answer:
            case Reply():
                await self._pause(answer.delay)
                return await self._give_reply(answer, model)
            case Fault():
                return await self._give_fault(answer)
            case ErrorEvent(after=after):
                await self._begin(self._wire.opening(after, model))
                return await self._write(self._wire.error_event(answer.type, answer.message), more=False)
            case Drop(after=after):
                await self._begin([] if after is None else self._wire.opening(after, model))
                return await self._drop()
            case Hang(after=after):
                await self._begin([] if after is None else self._wire.opening(after, model))
                return await self._hang()

    async def _give_whole(self, answer: Answer, model: str) -> bool:
        match answer:
            case Reply():
                await self._pause(answer.delay)
                return await self.give_json(self._wire.message(answer, model), headers=answer.headers)
            case Fault():
                return await self._give_fault(answer)
            case ErrorEvent():
                status = fault(529 if answer.type == "overloaded_error" else 500).status
                return await self._give_fault(Fault(status, answer.type, answer.message))
            case Drop():
                return await self._drop()
            case Hang():
                return await self._hang()

    async def _give_reply(self, reply: Reply, model: str) -> bool:
        await self._start(200, "text/event-stream; charset=utf-8", reply.headers)
        frames = self._wire.stream(reply, model)
        if not reply.pace:
            return await self._write_all(batches(frames, BATCH))
        return await self._write_all(paced_batches(frames, self._wire.is_delta), reply.pace)

    async def _give_fault(self, answer: Fault) -> bool:
        request_id = new_id("req")
        headers = {"request-id": request_id, **answer.headers}
        return await self.give_json(self._wire.envelope(answer, request_id), answer.status, headers)

    async def _begin(self, frames: list[bytes]) -> None:
        """Send the first events of an answer that will break off; if there are none, send nothing."""
        if frames:
            await self._start(200, "text/event-stream; charset=utf-8", {})
            await self._write(b"".join(frames), more=True)
            await self._pause(BREAK_DELAY)

    async def _drop(self) -> bool:
        if self.left:
            return False
        self._transport.close()
        # The server must notice the end of the connection first, or it would complain about a missing answer.
        await self._gone()
        return False

    async def _hang(self) -> bool:
        if not self.left:
            await self._gone()
        self.left = True
        return False

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0 or self.left:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._gone()
            self.left = True
        except TimeoutError:
            return

    async def _start(
        self, status: int, content_type: str, headers: dict[str, str], length: int | None = None
    ) -> None:
        sent = {"content-type": content_type, "request-id": new_id("req"), **headers}
        if length is not None:
            sent["content-length"] = str(length)
        pairs = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in sent.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _write_all(self, parts: Iterable[bytes], pace: float = 0.0) -> bool:
        for number, part in enumerate(parts):
            if number:
                await self._pause(pace)
            if not await self._write(part, more=True):
                return False
        return await self._write(b"", more=False)

    async def _write(self, part: bytes, *, more: bool) -> bool:
        # This gives the event loop time to notice that the client has left, and to serve others.
        await asyncio.sleep(0)
        self.left = self.left or self._transport.is_closing()
        if self.left:
            return False
        await self._send({"type": "http.response.body", "body": part, "more_body": more})
        return True
