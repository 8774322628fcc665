"""Upstreams that never end their answers, and streams that are no longer read."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import pytest

from claude_max_proxy import Message, ProxyError, Request, Text
from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.openai_api.backend import OpenAIApi
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from claude_max_proxy.http_upstream import client as client_module


pytestmark = pytest.mark.slow
LIMIT = 2_000_000
SLACK = 16_000_000  # what sockets hold
HEAD = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 900)
CALL = (
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":'
    b'{"name":"f","arguments":"%b"}}]}}]}\n\n' % (b"x" * 900)
)
BLOCK = (
    b'data: {"type":"content_block_start","content_block":{"type":"text"}}\n\n'
    b'data: {"type":"content_block_delta","delta":{"text":"%b"}}\n\n' % (b"x" * 900)
)


class Endless:
    """A server whose every answer is a head, and then one piece repeated forever. ``sent`` counts bytes."""

    def __init__(self, piece: bytes, *, status: str = "200 OK", kind: str = "application/json") -> None:
        """Set the head and the piece."""
        self.sent = 0
        self.left = asyncio.Event()
        self._head = HEAD.format(status=status, kind=kind).encode()
        self._chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        """Start the server."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the server."""
        self._server.close()
        await self._tasks.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.start(self._serve(reader, writer), "endless")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._head)
            while self.sent < 20 * (LIMIT + SLACK):
                writer.write(self._chunk)
                await writer.drain()
                self.sent += len(self._chunk)
        self.left.set()
        writer.close()


def request() -> Request:
    """Return a question."""
    return Request("m", messages=[Message("user", [Text("q")])])


async def heard(backend: Any) -> None:
    """Read an answer to its end, without keeping it."""
    async for _ in backend.answer(request(), "m"):
        pass


def openai(url: str) -> OpenAIApi:
    """Return a backend for this server."""
    return OpenAIApi("my", OpenAIApiSettings(base_url=url, max_answer_bytes=LIMIT, retries=0))


def anthropic(url: str) -> AnthropicApi:
    """Return a backend for this server, with the other API."""
    return AnthropicApi("my", AnthropicApiSettings(base_url=url, max_answer_bytes=LIMIT, retries=0))


Ask = Callable[[Any], Awaitable[Any]]
WAYS: dict[str, tuple[Callable[[str], Any], Ask, dict[str, Any]]] = {
    "embeddings": (
        openai,
        lambda backend: backend.embed(b'{"model":"m","input":"x"}', "m"),
        {"piece": b"x" * 1000},
    ),
    "a count of tokens": (
        anthropic,
        lambda backend: backend.count_tokens(request(), "m"),
        {"piece": b"1" * 1000},
    ),
    "a chat as one document": (openai, heard, {"piece": b'{"a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"' * 30}),
    "a chat's stream": (openai, heard, {"piece": DELTA, "kind": "text/event-stream"}),
    "a chat's call": (openai, heard, {"piece": CALL, "kind": "text/event-stream"}),
    "a message's stream": (anthropic, heard, {"piece": BLOCK, "kind": "text/event-stream"}),
    "a line of a stream": (openai, heard, {"piece": b"data: x" * 200, "kind": "text/event-stream"}),
    "an event of a stream": (anthropic, heard, {"piece": b"data: x\n" * 200, "kind": "text/event-stream"}),
    "empty events": (openai, heard, {"piece": b"\n" * 1000, "kind": "text/event-stream"}),
    "comments": (anthropic, heard, {"piece": b": x\n\n" * 200, "kind": "text/event-stream"}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_is_bounded(way: str) -> None:
    """An answer that never ends fails at its bound; its connection is closed, and little of it is kept."""
    build, ask, serving = WAYS[way]
    async with Endless(**serving) as server:
        backend = build(server.url)
        await backend.start()
        tracemalloc.start()
        try:
            async with asyncio.timeout(60):
                with pytest.raises(UpstreamFailed, match="max_answer_bytes"):
                    await ask(backend)
                await server.left.wait()
            assert tracemalloc.get_traced_memory()[1] < 10 * LIMIT
        finally:
            tracemalloc.stop()
            await backend.stop()
        assert server.sent < LIMIT + SLACK


@pytest.mark.parametrize("status", ["400 X", "429 X", "500 X", "302 X"])
@pytest.mark.parametrize("build", [openai, anthropic])
async def test_an_error_is_bounded(build: Callable[[str], Any], status: str) -> None:
    """Of an error's body only the beginning is read."""
    async with Endless(b"x" * 1000, status=status) as server:
        backend = build(server.url)
        await backend.start()
        try:
            async with asyncio.timeout(30):
                with pytest.raises(ProxyError) as caught:
                    await heard(backend)
                await server.left.wait()
        finally:
            await backend.stop()
        assert server.sent < SLACK
        assert len(caught.value.message) < 2000


@pytest.mark.parametrize("build", [openai, anthropic])
async def test_a_list_of_models_is_not_read(build: Callable[[str], Any]) -> None:
    """The check of a backend reads the status of the list of models, not an endless list."""
    async with Endless(b"x" * 1000) as server:
        async with asyncio.timeout(30):
            finding = await build(server.url).check().run()
            await server.left.wait()
        assert finding.status == "ok"
        assert server.sent < SLACK


# --- streams that nobody reads


@pytest.mark.parametrize("way", ["closed", "forgotten"])
async def test_streams_that_are_left_make_room(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is no longer read holds a connection only until it is closed, however it is closed."""
    monkeypatch.setattr(client_module, "_BACKOFF", 0.001)
    async with Endless(DELTA, kind="text/event-stream") as server:
        backend = OpenAIApi(
            "my", OpenAIApiSettings(base_url=server.url, max_connections=10, first_byte_timeout=5)
        )
        await backend.start()
        try:
            streams = [backend.answer(request(), "m") for _ in range(10)]
            for stream in streams:
                await anext(stream)
            eleventh = asyncio.get_running_loop().create_task(anext(backend.answer(request(), "m")))
            await asyncio.sleep(0.05)
            assert not eleventh.done()
            if way == "closed":
                for stream in streams:
                    await stream.aclose()
            del stream
            streams.clear()
            gc.collect()
            async with asyncio.timeout(5):
                await eleventh
        finally:
            await backend.stop()


async def test_nobody_waits_for_room_for_ever() -> None:
    """If all connections are in use, a request fails within the time limit for a first byte."""
    async with Endless(DELTA, kind="text/event-stream") as server:
        upstream = HttpUpstream(
            "my", HttpSettings(base_url=server.url, max_connections=1, first_byte_timeout=0.2), {}
        )
        await upstream.start()
        holding = upstream.stream("/x", b"", _Deaf())
        try:
            await anext(holding)
            async with asyncio.timeout(5):
                with pytest.raises(ProxyError, match="max_connections"):
                    await upstream.ask("/x", b"")
        finally:
            await holding.aclose()
            await upstream.stop()


class _Deaf:
    """A reader that never gets beyond the beginning of an answer."""

    ended = False
    error: ProxyError | None = None

    def feed(self, piece: bytes) -> list[Any]:
        """Accept a piece."""
        return [len(piece)]

    def finish(self) -> list[Any]:
        """Accept the end."""
        return []
