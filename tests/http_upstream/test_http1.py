"""HTTP/1.1 as servers speak it, correctly or not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Event, PartDelta, ProxyError
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from tests.raw_server import CLOSE, RawServer, Step, chunked, whole


SILENCE = 3600.0
HEAD = b"HTTP/1.1 200 OK\r\n"
PART = HEAD + b"Content-Length: 9\r\n\r\nhel"


class Pieces:
    """A reader that returns the size of every piece."""

    ended = False
    error: ProxyError | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """Return the size as text."""
        return [PartDelta(0, str(len(piece)))]

    def finish(self) -> list[Event]:
        """Return nothing."""
        return []


@asynccontextmanager
async def upstream_of(url: str, **settings: Any) -> AsyncIterator[HttpUpstream]:
    """Yield a client for this server, which does not try again."""
    settings = {"headers": {"x-mine": "1"}, "retries": 0, **settings}
    upstream = HttpUpstream("a", HttpSettings(base_url=url, **settings), {})
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()


@pytest.mark.parametrize(
    "script",
    [
        [whole(b"hello")],
        [chunked(b"hel", b"lo")],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"],
        [HEAD + b"Connection: close\r\n\r\nhel", 0.01, b"lo", CLOSE],
        [b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, whole(b"hello")],
        [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(b"hello")],
        [HEAD + b"X: " + b"y" * 30_000 + b"\r\nContent-Length: 5\r\n\r\nhello"],
        [bytes([byte]) for byte in whole(b"hello")],
        [bytes([byte]) for byte in chunked(b"hel", b"lo")],
    ],
)
async def test_framing(script: list[Step]) -> None:
    """A body is read to its end, however its end is marked and wherever the bytes are cut."""
    async with RawServer(script) as server, upstream_of(server.url) as upstream:
        assert await upstream.ask("/x", b"question", {"x-more": "2"}) == b"hello"


async def test_what_is_sent() -> None:
    """A request is one message with the endpoint's headers and the body's length, and no others."""
    async with RawServer([whole(b"")]) as server, upstream_of(server.url + "/base?v=1") as upstream:
        await upstream.ask("/x:y", b"question", {"x-more": "2"})
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    line, *lines = head.decode().lower().split("\r\n")
    assert line == "post /base/x:y?v=1 http/1.1"
    assert sorted(lines) == [
        "accept-encoding: identity",
        "accept: text/event-stream, application/json",
        "content-length: 8",
        "content-type: application/json",
        f"host: {server.url[7:]}",
        "user-agent: claude-max-proxy",
        "x-mine: 1",
        "x-more: 2",
    ]
    assert body == b"question"


@pytest.mark.parametrize("size", [0, 1024 * 1024, 3_000_000])
async def test_bodies_of_any_size(size: int) -> None:
    """A body of any length arrives whole, with its length."""
    async with RawServer([whole(b"yes")]) as server, upstream_of(server.url) as upstream:
        assert await upstream.ask("/x", bytes(size)) == b"yes"
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert f"content-length: {size}" in head.decode().lower()
    assert b"transfer-encoding" not in head.lower()
    assert len(body) == size


async def test_nobody_elses_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the server's cookies nor the credentials of other programs are sent."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    cookie = whole(b"a", "200 OK", "Set-Cookie: session=1; Path=/")
    async with RawServer([cookie], [cookie]) as server, upstream_of(server.url) as upstream:
        for _ in range(2):
            assert await upstream.ask("/", b"") == b"a"
    assert not [
        text for text in server.heard if b"cookie" in text.lower() or b"authorization" in text.lower()
    ]


async def test_redirects() -> None:
    """A redirect is not followed, since the key would be sent to it."""
    redirect = whole(b"", "307 Temporary Redirect", "Location: /other")
    async with RawServer([redirect]) as server, upstream_of(server.url) as upstream:
        with pytest.raises(UpstreamFailed, match="redirects elsewhere; check base_url"):
            await upstream.ask("/", b"")
        assert len(server.heard) == 1


async def test_a_connection_is_used_again() -> None:
    """Several requests in turn use one connection."""
    scripts: list[list[Step]] = [[chunked(b"%d" % number)] for number in range(5)]
    async with RawServer(*scripts) as server, upstream_of(server.url) as upstream:
        for number in range(5):
            assert await upstream.ask("/", b"") == b"%d" % number
        assert server.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        [whole(b"a", "200 OK", "Connection: close")],
        [whole(b"a") + b"more than was asked for"],
        [whole(b"a") + whole(b"b")],
        [whole(b"a"), 0.01, whole(b"b")],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"],
    ],
)
async def test_a_connection_that_is_not(script: list[Step]) -> None:
    """A connection that the server closes, or on which it sends unexpected data, is not used again."""
    async with RawServer(script, [whole(b"c")]) as server, upstream_of(server.url) as upstream:
        with contextlib.suppress(UpstreamFailed):  # what came with the answer may spoil it
            assert await upstream.ask("/", b"") == b"a"
        await asyncio.sleep(0.05)
        assert await upstream.ask("/", b"") == b"c"
        assert server.connections == 2


async def test_a_connection_that_was_closed_meanwhile() -> None:
    """If the server closes a used connection instead of answering, a new one is tried."""
    async with (
        RawServer([whole(b"a")], [CLOSE], [whole(b"b")]) as server,
        upstream_of(server.url) as upstream,
    ):
        assert await upstream.ask("/", b"1") == b"a"
        assert await upstream.ask("/", b"2") == b"b"
        assert [request[-1:] for request in server.heard] == [b"1", b"2", b"2"]


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
    """Invalid HTTP on a new connection is reported at once, and the request is sent once."""
    async with RawServer(script) as server, upstream_of(server.url, first_byte_timeout=5) as upstream:
        with pytest.raises(UpstreamFailed, match="cannot be reached"):
            await upstream.ask("/", b"")
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    "script",
    [
        [PART, CLOSE],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", CLOSE],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", 0.05, b"zz\r\n"],
    ],
)
async def test_half_an_answer(script: list[Step]) -> None:
    """What has arrived is yielded; if the rest never comes, that is an error and not an end."""
    async with (
        RawServer(script) as server,
        upstream_of(server.url) as upstream,
        aclosing(upstream.stream("/", b"", Pieces())) as events,
    ):
        assert await anext(events) == PartDelta(0, "3")
        with pytest.raises(UpstreamFailed, match="broke off"):
            await anext(events)


async def test_no_tls_there() -> None:
    """A server that does not answer TLS is given up after the time that a connection may take."""
    async with (
        RawServer([CLOSE]) as server,
        upstream_of(server.url.replace("http", "https"), connect_timeout=0.2) as upstream,
        asyncio.timeout(2),
    ):
        with pytest.raises(UpstreamFailed, match="cannot be reached: no connection was made in time"):
            await upstream.ask("/", b"")


async def test_being_cancelled_hangs_up() -> None:
    """Cancelling the wait for the head closes the connection, and the next question uses another one."""
    async with RawServer([SILENCE], [whole(b"a")]) as server, upstream_of(server.url) as upstream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await upstream.ask("/", b"")
        async with asyncio.timeout(1):
            await server.left.wait()
            assert await upstream.ask("/", b"") == b"a"


@pytest.mark.parametrize("script", [[SILENCE], [HEAD, SILENCE], [PART, SILENCE]])
async def test_being_stopped(script: list[Step], caplog: pytest.LogCaptureFixture) -> None:
    """A request that waits while the client is stopped fails at once, and nothing remains to be logged."""
    async with RawServer(script) as server:
        async with upstream_of(server.url) as upstream, asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(told(upstream))
            await asyncio.sleep(0.05)
            await upstream.stop()
            async with asyncio.timeout(1):
                assert isinstance(await asked, UpstreamFailed)
                await server.left.wait()
        gc.collect()
        await asyncio.sleep(0)
    assert caplog.messages == []


async def told(upstream: HttpUpstream) -> ProxyError | None:
    """Return the error that a question fails with."""
    try:
        await upstream.ask("/", b"")
    except ProxyError as error:
        return error
    return None


async def test_a_slow_reader() -> None:
    """What is not read is buffered only up to a bound, and nothing of it is lost."""
    piece, count, sent = bytes(100_000), 400, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (count * len(piece)))
        for _ in range(count):
            writer.write(piece)
            await writer.drain()
            sent += 1
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with upstream_of(url) as upstream, aclosing(upstream.stream("/", b"", Pieces())) as events:
            read = int((await anext(events)).text)  # type: ignore[union-attr]
            await asyncio.sleep(0.3)
            assert sent < count / 2
            async for event in events:
                read += int(event.text)  # type: ignore[union-attr]
    assert read == count * len(piece)
