"""The direct way: HTTP/1.1 as servers speak it, and as they break it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from claude_max_proxy import HttpSettings
from claude_max_proxy.http_upstream.direct import Direct
from claude_max_proxy.http_upstream.endpoint import endpoint
from claude_max_proxy.http_upstream.exchange import ConnectionBroken, Exchange
from tests.raw_server import CLOSE, RawServer, Step, chunked, whole


SILENCE = 3600.0
HEAD = b"HTTP/1.1 200 OK\r\n"


def direct(url: str, connect_timeout: float = 5.0) -> Direct:
    """The direct way to a server."""
    settings = HttpSettings(base_url=url, headers={"x-mine": "1"})
    return Direct(endpoint("a", settings, {}), connect_timeout, tls=None)


async def body_of(exchange: Exchange) -> bytes:
    """Read an answer to its end, and free its connection."""
    content = b""
    while piece := await exchange.read():
        content += piece
    await exchange.close()
    return content


@pytest.mark.parametrize(
    "script",
    [
        [whole(b"hello")],
        [chunked(b"hel", b"lo")],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"],
        [HEAD + b"Connection: close\r\n\r\nhel", 0.01, b"lo", CLOSE],
        [b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, whole(b"hello")],
        [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(b"hello")],
        [bytes([byte]) for byte in whole(b"hello")],
        [bytes([byte]) for byte in chunked(b"hel", b"lo")],
    ],
)
async def test_framing(script: list[Step]) -> None:
    """A body is read to its end, however that is marked and wherever the bytes are cut."""
    async with RawServer(script) as server:
        way = direct(server.url)
        exchange = await way.post("/x", b"question", {"x-more": "2"})
        assert exchange.status == 200
        assert await body_of(exchange) == b"hello"
        await way.close()


async def test_what_is_sent() -> None:
    """A request is one message with the endpoint's headers and the body's length."""
    async with RawServer([whole(b"", "404 Not Found", "X-Why: so")]) as server:
        way = direct(server.url + "/base")
        exchange = await way.post("/x", b"question", {"x-more": "2"})
        await way.close()
    assert (exchange.status, exchange.headers["x-why"]) == (404, "so")
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /base/x HTTP/1.1"
    assert {"x-mine: 1", "x-more: 2", "content-length: 8", f"host: {server.url[7:]}"} <= set(lines)
    assert body == b"question"


async def test_a_connection_is_used_again() -> None:
    """One request after the other goes over one connection."""
    async with RawServer(*[[chunked(b"%d" % number)] for number in range(5)]) as server:
        way = direct(server.url)
        for number in range(5):
            assert await body_of(await way.post("/", b"", {})) == b"%d" % number
        assert server.connections == 1
        await way.close()


@pytest.mark.parametrize(
    "script",
    [
        [whole(b"a", "200 OK", "Connection: close")],
        [whole(b"a") + b"more than was asked for"],
        [whole(b"a") + whole(b"b")],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"],
    ],
)
async def test_a_connection_that_is_not(script: list[Step]) -> None:
    """A connection that is to be closed, or that brings what nobody asked for, is not used again."""
    async with RawServer(script, [whole(b"c")]) as server:
        way = direct(server.url)
        with contextlib.suppress(ConnectionBroken):  # what came with the answer may spoil it
            assert (await body_of(await way.post("/", b"", {})))[:1] == b"a"
        await asyncio.sleep(0.02)
        assert await body_of(await way.post("/", b"", {})) == b"c"
        assert server.connections == 2
        await way.close()


async def test_a_connection_that_was_closed_meanwhile() -> None:
    """When the server hangs up instead of answering over a used connection, a new one is tried."""
    async with RawServer([whole(b"a")], [CLOSE], [whole(b"b")]) as server:
        way = direct(server.url)
        assert await body_of(await way.post("/", b"1", {})) == b"a"
        assert await body_of(await way.post("/", b"2", {})) == b"b"
        assert [request[-1:] for request in server.heard] == [b"1", b"2", b"2"]
        await way.close()


@pytest.mark.parametrize(
    "script",
    [
        [CLOSE],
        [b"HTTP/1.1 200", CLOSE],
        [b"SSH-2.0-OpenSSH_9.6\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
        [HEAD + b"X: " + b"y" * 300_000 + b"\r\n\r\n"],
    ],
)
async def test_no_answer(script: list[Step]) -> None:
    """What is no answer, on a new connection, is a broken connection."""
    async with RawServer(script) as server:
        way = direct(server.url)
        with pytest.raises(ConnectionBroken):
            async with asyncio.timeout(5):
                await way.post("/", b"", {})
        await way.close()


@pytest.mark.parametrize(
    "script",
    [
        [HEAD + b"Content-Length: 9\r\n\r\nhel", CLOSE],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", CLOSE],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nzz\r\n"],
    ],
)
async def test_half_an_answer(script: list[Step]) -> None:
    """What came is given; that the rest never will is an error and not an end."""
    async with RawServer(script) as server:
        way = direct(server.url)
        exchange = await way.post("/", b"", {})
        assert await exchange.read() == b"hel"
        with pytest.raises(ConnectionBroken):
            await exchange.read()
        await way.close()


async def test_nobody_there() -> None:
    """Where nobody listens, or what listens speaks no TLS, there is no connection."""
    async with RawServer([CLOSE]) as server:
        tls = direct(server.url.replace("http", "https"), connect_timeout=0.2)
        tls._tls = ssl.create_default_context()
        with pytest.raises(ConnectionBroken, match="no connection"):
            await tls.post("/", b"", {})
    with pytest.raises(ConnectionBroken, match="no connection"):
        await direct(server.url).post("/", b"", {})


async def test_closing_hangs_up() -> None:
    """An answer that is closed before its end takes its connection along, at once."""
    async with RawServer([HEAD + b"Content-Length: 9\r\n\r\nhel", SILENCE]) as server:
        way = direct(server.url)
        exchange = await way.post("/", b"", {})
        await exchange.close()
        async with asyncio.timeout(1):
            await server.left.wait()
        await way.close()


async def test_being_cancelled_hangs_up() -> None:
    """So does a cancelled wait for the head, and the next question goes over another connection."""
    async with RawServer([SILENCE], [whole(b"a")]) as server:
        way = direct(server.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await way.post("/", b"", {})
        async with asyncio.timeout(1):
            await server.left.wait()
            assert await body_of(await way.post("/", b"", {})) == b"a"
        await way.close()


async def test_a_slow_reader() -> None:
    """What nobody reads is not fetched without bound, and nothing of it is lost."""
    size = 40_000_000
    async with RawServer([whole(bytes(size))]) as server:
        way = direct(server.url)
        exchange = await way.post("/", b"", {})
        await asyncio.sleep(0.2)
        assert exchange._size < size / 4
        assert len(await body_of(exchange)) == size
        await way.close()
