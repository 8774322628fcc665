"""What the HTTP libraries raise becomes an error in our own words."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from typing import Any

import aiohttp
import httpx
import pytest

from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from claude_max_proxy.http_upstream.breakage import _UNKNOWN, reason
from tests.raw_server import CLOSE, RawServer, Step


RAW = "<RawLibraryWords: status=400, message='Not enough data'>"


def exceptions(module: Any) -> list[type[Exception]]:
    """Return every exception that a library exports."""
    return sorted(
        {one for one in vars(module).values() if inspect.isclass(one) and issubclass(one, Exception)},
        key=lambda one: one.__name__,
    )


# Exceptions that no exchange raises: for wrong use of the library, or from parts that are not used.
ELSEWHERE = (
    aiohttp.WebSocketError,
    aiohttp.BadContentDispositionHeader,
    aiohttp.BadContentDispositionParam,
    httpx.CookieConflict,
    aiohttp.WSMessageTypeError,
)
RAISED = [one for one in exceptions(httpx) + exceptions(aiohttp) if not issubclass(one, ELSEWHERE)]


@pytest.mark.parametrize("kind", RAISED, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_exception_has_words(kind: type[Exception]) -> None:
    """Whatever httpx or aiohttp raises is reported in our words, without any of theirs."""
    error = kind.__new__(kind)
    error.args = (RAW,)
    words = reason(error)
    assert words != _UNKNOWN
    assert words[0].islower() or words.startswith("TLS")
    assert "RawLibraryWords" not in words
    assert kind.__name__ not in words
    around = httpx.ReadError(RAW)
    around.__cause__ = error
    assert reason(around) == words  # the first exception counts


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "x"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), _UNKNOWN),
        (RuntimeError("Session is closed"), "the connection was closed here"),
        (TimeoutError("raw"), "it was silent for too long"),
        (KeyError("raw"), _UNKNOWN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_known(error: Exception, words: str) -> None:
    """The system's messages are passed on; Python's are replaced by ours."""
    said = reason(error)
    assert said == words or (words == _UNKNOWN and "raw" not in said and "[" not in said)


@pytest.mark.parametrize(
    "script",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CLOSE],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSE],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n", CLOSE],
        [b"SSH-2.0-OpenSSH\r\n", CLOSE],
        [b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n", CLOSE],
        [CLOSE],
    ],
    ids=["cut", "cut in chunks", "broken chunks", "no HTTP", "broken head", "nothing"],
)
async def test_a_broken_upstream_is_told_in_our_words(script: list[Step]) -> None:
    """However an upstream breaks off, the client gets no text of a library."""
    async with RawServer(script, script) as server:
        upstream = HttpUpstream("my", HttpSettings(base_url=server.url, retries=0), {})
        await upstream.start()
        try:
            async with asyncio.timeout(10):
                with pytest.raises(UpstreamFailed) as caught:
                    await upstream.ask("/x", b"?")
        finally:
            await upstream.stop()
    assert not any(
        word in caught.value.message
        for word in ("Error", "payload", "Payload", "Transfer", "0x", "<", "400", "message=", "Expected HTTP")
    ), caught.value.message
