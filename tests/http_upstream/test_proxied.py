"""httpx's own transport: through a proxy from the environment, and over HTTP/2."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import respx

from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from claude_max_proxy.http_upstream import client as client_module
from tests.raw_server import RawServer, whole


URL = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait almost no time before another try, and begin without proxies in the environment."""
    monkeypatch.setattr(client_module, "_BACKOFF", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def ask(url: str, **settings: bool) -> bytes:
    """One question and its answer."""
    upstream = HttpUpstream("my", HttpSettings(base_url=url, **settings), {"x-own": "1"})  # type: ignore[arg-type]
    await upstream.start()
    try:
        return await upstream.ask("/x", b"question", {"x-more": "2"})
    finally:
        await upstream.stop()


@respx.mock
async def test_what_is_sent() -> None:
    """A request has the same headers as over aiohttp's connections, and none that httpx would add."""
    route = respx.post(f"{URL}/x").respond(200, content=b"answer")
    assert await ask(URL, http2=True) == b"answer"
    request = route.calls[0].request
    assert request.content == b"question"
    assert [request.headers[name] for name in ("x-own", "x-more", "accept-encoding")] == [
        "1",
        "2",
        "identity",
    ]
    assert request.headers["content-length"] == "8"


@respx.mock
async def test_what_is_tried_again() -> None:
    """Failures are the same as over aiohttp's connections, and are tried again in the same cases."""
    route = respx.post(f"{URL}/x")
    route.side_effect = [
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(200, content=b"yes"),
    ]
    assert await ask(URL, http2=True) == b"yes"
    assert route.call_count == 3


@respx.mock
async def test_who_cannot_be_reached() -> None:
    """The last failure is reported with what to check."""
    respx.post(f"{URL}/x").mock(side_effect=httpx.ConnectTimeout("too long"))
    with pytest.raises(UpstreamFailed, match="cannot be reached: no connection was made in time"):
        await ask(URL, http2=True)


async def test_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy in the environment is used for servers that are not on this machine."""
    async with RawServer([whole(b"by proxy")]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert await ask("http://api.example.com/v1") == b"by proxy"
    assert proxy.heard[0].startswith(b"POST http://api.example.com/v1/x HTTP/1.1\r\n")


async def test_http2_is_not_needed() -> None:
    """If the server speaks no HTTP/2, asking for it does no harm."""
    async with RawServer([whole(b"plain")]) as server:
        assert await ask(server.url, http2=True) == b"plain"


async def test_closing_hangs_up() -> None:
    """If an answer is abandoned, its connection is closed."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none"
    async with RawServer([head, 3600.0]) as server:
        upstream = HttpUpstream("my", HttpSettings(base_url=server.url, http2=True, idle_timeout=0.1), {})
        await upstream.start()
        with pytest.raises(Exception, match="nothing more came"):
            await upstream.ask("/x", b"")
        async with asyncio.timeout(1):
            await server.left.wait()
        await upstream.stop()


async def test_an_answer_that_breaks_off() -> None:
    """An answer that will never be complete is the upstream's failure."""
    async with RawServer([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none", -1.0]) as server:
        with pytest.raises(UpstreamFailed, match="broke off"):
            await ask(server.url, http2=True)
