"""Clients that ask again as soon as they have an answer, and use as little CPU time as possible."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from statistics import median
from typing import Any, TypeVar

import httptools
import uvloop

from benchmarks.http.upstream import MODEL, WORDS
from claude_max_proxy.formats.sse import Decoder
from claude_max_proxy.testing import words


CLIENTS = 16
_TIMEOUT = 120.0
_Result = TypeVar("_Result")


def latency(port: int, count: int) -> float:
    """Ask ``count`` times, one after the other; return the median time of an answer in seconds."""
    return _run(_latency(port, count))


def throughput(port: int, seconds: float, clients: int = CLIENTS) -> tuple[int, float]:
    """Ask with all clients at once for a while; return how many answers came and in what time.

    Each client has a session of its own, by which a load balancer tells them apart.
    """
    return _run(_throughput(port, seconds, clients))


def stream(port: int, clients: int, deltas: int, pause: int) -> float:
    """Run a stream for each client at the same time; return the time for all of them, in seconds.

    Each stream has this many ``deltas``, one every ``pause`` ms.
    """
    return _run(_stream(port, clients, deltas, pause))


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    async def bounded() -> _Result:
        async with asyncio.timeout(_TIMEOUT):
            return await work

    return uvloop.run(bounded())


async def _latency(port: int, count: int) -> float:
    client, message = await _connected(port), _question("hi", stream=False)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        body = await client.ask(message)
        times.append(time.perf_counter() - began)
        _check_whole(body)
    client.close()
    return median(times)


async def _throughput(port: int, seconds: float, number: int) -> tuple[int, float]:
    clients = [await _connected(port) for _ in range(number)]
    messages = [_question("hi", stream=False, session=f"session-{index}") for index in range(number)]
    began = time.perf_counter()
    bodies = await asyncio.gather(
        *[
            _ask_until(began + seconds, client, message)
            for client, message in zip(clients, messages, strict=True)
        ]
    )
    took = time.perf_counter() - began
    for client, answers in zip(clients, bodies, strict=True):
        client.close()
        for body in answers:
            _check_whole(body)
    return sum(map(len, bodies)), took


async def _ask_until(end: float, client: Client, message: bytes) -> list[bytes]:
    bodies = []
    while time.perf_counter() < end:
        bodies.append(await client.ask(message))
    return bodies


async def _stream(port: int, number: int, deltas: int, pause: int) -> float:
    clients = [await _connected(port) for _ in range(number)]
    message = _question(f"[[deltas {deltas} {pause}]]", stream=True)
    began = time.perf_counter()
    bodies = await asyncio.gather(*[client.ask(message) for client in clients])
    took = time.perf_counter() - began
    for client, body in zip(clients, bodies, strict=True):
        client.close()
        _check_stream(body, deltas)
    return took


class Client(asyncio.Protocol):
    """A connection over which one question at a time is sent."""

    def connection_made(self, transport: Any) -> None:
        """Note that the connection is made."""
        self._transport = transport
        self._answer: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the server."""
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Make the question that is under way fail."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or RuntimeError("the server hung up"))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the answer's body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand over the answer, since it is complete."""
        status, body = self._parser.get_status_code(), b"".join(self._body)
        assert self._answer is not None
        if status == 200:
            self._answer.set_result(body)
        else:
            self._answer.set_exception(RuntimeError(f"no answer but {status}: {body[:500]!r}"))

    async def ask(self, message: bytes) -> bytes:
        """Send a question, and return the answer's body. Raises :class:`RuntimeError` if there is none."""
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._transport.write(message)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def _connected(port: int) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


def _question(text: str, *, stream: bool, session: str = "session") -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": stream}
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer unused\r\nx-session-affinity: {session}\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _check_whole(body: bytes) -> None:
    """Raise :class:`RuntimeError` if this is not the expected answer."""
    if json.loads(body)["choices"][0]["message"]["content"] != words(WORDS):
        raise RuntimeError(f"a wrong answer: {body[:500]!r}")


def _check_stream(body: bytes, deltas: int) -> None:
    pieces = []
    for event in Decoder().feed(body):
        choices = json.loads(event.data).get("choices") if event.data != "[DONE]" else None
        pieces += [choices[0]["delta"].get("content") or ""] if choices else []
    if "".join(pieces) != words(deltas) or len([piece for piece in pieces if piece]) != deltas:
        raise RuntimeError(f"a wrong answer of {len(pieces)} pieces: {body[:500]!r}")
