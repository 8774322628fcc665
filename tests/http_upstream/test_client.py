"""The HTTP client: what it tries again, how long it waits, and the errors that it reports."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing, suppress
from typing import Any

import pytest

from claude_max_proxy import Event, Failed, Finished, PartDelta, ProxyError, RateLimited
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.config import convert
from claude_max_proxy.errors import Busy, Overloaded, UpstreamFailed, UpstreamRefused, UpstreamTimeout
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from claude_max_proxy.http_upstream import client as client_module
from tests.raw_server import CLOSE, RawServer, Step, whole


SILENCE = 3600.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


class Echo:
    """A reader that makes a delta of every piece, and ends at a full stop."""

    def __init__(self) -> None:
        """Begin."""
        self.ended = False
        self.error: ProxyError | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """Return a delta of the piece."""
        if piece == b"nonsense":
            raise ValueError("nonsense")
        self.ended = piece.endswith(b".")
        if piece.startswith(b"fail"):
            self.error = Overloaded("it failed")
            return [Failed(self.error)]
        return [PartDelta(0, piece.decode())]

    def finish(self) -> list[Event]:
        """Return the final events."""
        return [Finished("stop")]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait almost no time before another try."""
    monkeypatch.setattr(client_module, "_BACKOFF", 0.001)


async def started(url: str, **settings: Any) -> HttpUpstream:
    """Return a started client for this server."""
    upstream = HttpUpstream("my", HttpSettings(base_url=url, **settings), {"x-own": "1"})
    await upstream.start()
    return upstream


async def heard(server: RawServer, **settings: Any) -> str:
    """Return the server's answer to one question."""
    upstream = await started(server.url, **settings)
    try:
        return (await upstream.ask("/x", b"?")).decode()
    finally:
        await upstream.stop()


def status(code: int, *headers: str) -> bytes:
    """Return an answer that is an error."""
    return whole(b'{"error":{"message":"why"}}', f"{code} X", *headers)


@pytest.mark.parametrize(
    "failing",
    [
        [CLOSE],
        [HEAD, CLOSE],
        [status(408)],
        [status(409)],
        [status(500)],
        [status(502)],
        [status(529)],
        [status(429, "Retry-After: 0")],
    ],
)
async def test_what_is_tried_again(failing: list[Step]) -> None:
    """A temporary failure before the first byte is tried again, with the same question."""
    async with RawServer(failing, failing, [whole(b"yes")]) as server:
        assert await heard(server, retries=2) == "yes"
        assert len({request.partition(b"\r\n\r\n")[2] for request in server.heard}) == 1
        assert len(server.heard) == 3


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        ([status(400)], UpstreamRefused),
        ([status(429)], RateLimited),
        ([status(429, "Retry-After: 11")], RateLimited),
        ([status(529, "Retry-After: 60")], Overloaded),
        ([status(500, "x-should-retry: false")], UpstreamFailed),
        ([whole(b'{"error":"prompt is too long"}', "500 X")], ProxyError),
        ([HEAD + b"one", 0.01, CLOSE], UpstreamFailed),
    ],
)
async def test_what_is_not(failing: list[Step], kind: type[ProxyError]) -> None:
    """A permanent failure, a long wait, and a failure after the first byte are reported at once."""
    async with RawServer(failing) as server:
        with pytest.raises(kind):
            await heard(server)
        assert len(server.heard) == 1


async def test_tries_are_counted() -> None:
    """After the last try its failure is reported."""
    failing: list[Step] = [status(529)]
    async with RawServer(*[failing] * 3) as server:
        with pytest.raises(Overloaded, match="why"):
            await heard(server, retries=2)
        assert len(server.heard) == 3


async def test_retry_after_is_kept() -> None:
    """If the server asks for a short wait, the client waits."""
    async with RawServer([status(503, "Retry-After: 1")], [whole(b"yes")]) as server:
        began = time.monotonic()
        assert await heard(server) == "yes"
        assert 1.0 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([SILENCE], "nothing came from [backends.my]"),
        ([HEAD, SILENCE], "nothing came from [backends.my]"),
        ([status(500)[:-1], SILENCE], "nothing came from [backends.my]"),
        ([HEAD + b"one", SILENCE], "nothing more came from [backends.my]"),
    ],
)
async def test_silence(script: list[Step], message: str) -> None:
    """A silence has a time limit before the first byte and after it, and then the connection is closed."""
    async with RawServer(script) as server:
        with pytest.raises(UpstreamTimeout, match=f"^{re.escape(message)}"):
            await heard(server, first_byte_timeout=0.1, idle_timeout=0.1)
        async with asyncio.timeout(1):
            await server.left.wait()


async def test_nobody_there() -> None:
    """If an upstream cannot be reached, the error names it and says what to check."""
    async with RawServer() as server:
        pass
    with pytest.raises(UpstreamFailed, match=r"cannot be reached: Connection refused; is it running"):
        await heard(server, retries=1)


async def events_of(upstream: HttpUpstream) -> list[Event]:
    """Return all events of one answer."""
    return [event async for event in upstream.stream("/x", b"?", Echo())]


async def test_events() -> None:
    """A reader's events are yielded as its pieces arrive."""
    async with RawServer([HEAD + b"one", 0.05, b"two", 0.05, b"thr"]) as server:
        upstream = await started(server.url)
        assert await events_of(upstream) == [
            PartDelta(0, "one"),
            PartDelta(0, "two"),
            PartDelta(0, "thr"),
            Finished("stop"),
        ]
        await upstream.stop()


async def test_the_last_word_is_the_end() -> None:
    """An upstream that does not end its answer after the last event is not waited for."""
    async with RawServer([HEAD + b"one.", SILENCE]) as server:
        upstream = await started(server.url)
        began = time.monotonic()
        assert await events_of(upstream) == [PartDelta(0, "one."), Finished("stop")]
        assert time.monotonic() - began < 1
        assert upstream.health()["status"] == "ok"
        await upstream.stop()


async def test_closing_hangs_up() -> None:
    """Closing the events early closes the connection to the upstream at once."""
    async with RawServer([HEAD + b"one", SILENCE]) as server:
        upstream = await started(server.url)
        async with aclosing(upstream.stream("/x", b"?", Echo())) as events:
            assert await anext(events) == PartDelta(0, "one")
        async with asyncio.timeout(1):
            await server.left.wait()
        await upstream.stop()


async def test_stopping_hangs_up() -> None:
    """Stopping a client ends what is under way."""
    async with RawServer([HEAD + b"one", SILENCE]) as server:
        upstream = await started(server.url)
        events = upstream.stream("/x", b"?", Echo())
        assert await anext(events) == PartDelta(0, "one")
        await upstream.stop()
        with pytest.raises(UpstreamFailed, match="broke off"):
            await anext(events)


async def test_at_most_so_many() -> None:
    """A request without a free connection waits; each request that is answered or fails frees one."""
    working: list[Step] = [0.02, whole(b"yes")]
    async with RawServer([0.02, status(400)], *[working] * 6) as server:
        upstream = await started(server.url, max_connections=2)
        asked = [upstream.ask("/x", b"") for _ in range(7)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [one for one in answers if isinstance(one, bytes)] == [b"yes"] * 6
        assert server.connections == 2
        await upstream.stop()


async def test_leaving_makes_room() -> None:
    """A request that is cancelled also frees its connection, whether it was answered or still waiting."""
    async with RawServer([SILENCE], [whole(b"yes")]) as server:
        upstream = await started(server.url, max_connections=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.gather(upstream.ask("/x", b""), upstream.ask("/x", b""))
        assert await upstream.ask("/x", b"") == b"yes"
        await upstream.stop()


async def test_no_room() -> None:
    """If no connection becomes free, that is our fault, a 429, and does not count against the upstream."""
    async with RawServer([HEAD + b"one", SILENCE], [whole(b"yes")]) as server:
        upstream = await started(server.url, max_connections=1, first_byte_timeout=0.1)
        async with aclosing(upstream.stream("/x", b"?", Echo())) as events:
            await anext(events)
            with pytest.raises(
                Busy, match=r"^all 1 connections to \[backends.my\].*max_connections"
            ) as caught:
                await upstream.ask("/x", b"?")
        assert (caught.value.status, caught.value.retry_after) == (429, 1)
        assert await upstream.ask("/x", b"?") == b"yes"
        assert len(server.heard) == 2
        await upstream.stop()


async def test_room_over_a_reload() -> None:
    """What the previous backend still answers takes room from its successor."""
    async with RawServer([HEAD + b"one", SILENCE], [whole(b"yes")]) as server:
        before = await started(server.url, max_connections=1, first_byte_timeout=0.1)
        after = await started(server.url, max_connections=1, first_byte_timeout=0.2)
        after.take_over(before)
        async with aclosing(before.stream("/x", b"?", Echo())) as events:
            await anext(events)
            with pytest.raises(Busy):
                await after.ask("/x", b"?")
        assert await after.ask("/x", b"?") == b"yes"
        await before.stop()
        await after.stop()


async def test_nonsense() -> None:
    """What the reader cannot read is the upstream's failure, with what to check."""
    async with RawServer([whole(b"nonsense")]) as server:
        upstream = await started(server.url)
        with pytest.raises(UpstreamFailed, match=r"cannot read .nonsense.; check base_url"):
            await events_of(upstream)
        await upstream.stop()


async def test_health() -> None:
    """Health is how the latest answer ended; a wrong request does not count against the upstream."""
    scripts: list[list[Step]] = [
        [status(401)],
        [status(400)],
        [whole(b"fail.")],
        [whole(b"yes")],
        [status(503)],
    ]
    async with RawServer(*scripts) as server:
        upstream = await started(server.url, retries=0)
        states = [upstream.health()["status"]]
        for _ in scripts:
            with suppress(ProxyError):
                await events_of(upstream)
            states.append(upstream.health()["status"])
        assert states == ["ok", "degraded", "ok", "degraded", "ok", "degraded"]
        assert upstream.health()["last_failure"] == "Overloaded: the provider answered 503"
        assert upstream.health()["url"] == server.url
        await upstream.stop()


def test_models() -> None:
    """What the settings say about a model is all that is known about it."""
    facts = {"context_window": 9, "max_output_tokens": 5, "modalities": ["text"]}
    settings = convert({"base_url": "http://x", "models": {"m": facts}}, HttpSettings, "backends.my")
    upstream = HttpUpstream("my", settings, {})
    assert upstream.describe("m") == ModelInfo("m", 9, 5, ("text",))
    assert upstream.describe("other") == ModelInfo("other")


def test_started_is_not_needed_to_stop() -> None:
    """A client that was never started can be stopped."""
    asyncio.run(HttpUpstream("my", HttpSettings(base_url="http://x"), {}).stop())
