"""Clients that disconnect at any point of a request or an answer: no error is logged, and nothing stays."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy.server.connections import bounds, connection
from tests.certificates import certificates
from tests.scripted import SILENCE
from tests.server.conftest import Served
from tests.server.raw_client import SOON, Listening, RawClient, listening


BODIES: dict[str, Any] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/nowhere": {},
}


def asked(path: str, coding: str = "", **fields: Any) -> bytes:
    """Return a request to a route, compressed if an encoding is named."""
    body = msgspec.json.encode({"model": "sonnet", "padding": "x" * 100_000, **BODIES[path], **fields})
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    match coding:
        case "gzip":
            body = gzip.compress(body)
            lines.append("Content-Encoding: gzip")
        case "chunks":
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        case "to be told":
            lines.append("Expect: 100-continue")
        case _:
            pass
    if coding != "chunks":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Both sides of TLS."""
    made = certificates(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    return server, ssl.create_default_context(cafile=str(made.authority))


@pytest.fixture(autouse=True)
def _probed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after a client that is silent ten times as often as usual, and linger a tenth of the time."""
    monkeypatch.setattr(bounds, "_LINGER", bounds._LINGER / 10)
    monkeypatch.setattr(connection, "_PAUSES", tuple(pause / 10 for pause in connection._PAUSES))


@pytest.fixture(params=["plain", "tls"])
async def place(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Listening]:
    """A server with the defaults, on a socket."""
    async with listening(served.application, tls(tmp_path) if request.param == "tls" else None) as place:
        yield place


async def leave(client: RawClient, how: str) -> None:
    """Disconnect: properly, by a reset, or one side first."""
    transport: Any = client.writer.transport
    with contextlib.suppress(OSError):
        if how == "one side first" and client.writer.can_write_eof():
            client.say_no_more()
            await asyncio.sleep(0.01)
        if how == "in good order":
            client.writer.close()
        else:
            transport.abort()


async def come_and_leave(place: Listening, how: str, after: float, *pieces: bytes) -> None:
    """Connect, send bytes, and disconnect after so many seconds."""
    client = await place.client()
    client.say(*pieces)
    await asyncio.sleep(after)
    await leave(client, how)


async def nobody_is_left(place: Listening, caplog: pytest.LogCaptureFixture) -> None:
    """No work goes on for a client that disconnected, and the log has at most one line, for an answer."""
    async with asyncio.timeout(SOON):
        while place.state.connections or place.state.tasks:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
    told = [record for record in caplog.records if not record.name.endswith(".access")]
    assert [record.getMessage() for record in told if record.levelno > logging.DEBUG or record.exc_info] == []


WAYS = ("in good order", "broken off", "one side first")
ways = pytest.mark.parametrize("how", WAYS)
routes = pytest.mark.parametrize("path", BODIES)


@ways
@routes
async def test_in_what_is_asked(
    place: Listening, path: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client disconnects in its headers or its body, at the first request or a later one."""
    caplog.set_level(logging.DEBUG)
    async with asyncio.TaskGroup() as group:
        for whole in (asked(path, coding) for coding in ("plain", "gzip", "chunks", "to be told")):
            body = whole.index(b"\r\n\r\n") + 4
            cuts = (0, 20, body - 2, body, body + 5, body + (len(whole) - body) // 2, len(whole) - 1)
            befores = (b"", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for cut, before in itertools.product(cuts, befores):
                group.create_task(come_and_leave(place, how, 0.002, before, whole[:cut]))
    await nobody_is_left(place, caplog)


@routes
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("where", [0, 3], ids=["at first", "behind a word"])
async def test_in_what_is_heard(
    served: Served,
    place: Listening,
    path: str,
    stream: bool,
    where: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A client disconnects before the first event, in the middle, in an error, or with more requests sent."""
    caplog.set_level(logging.DEBUG)
    served.backend.script.insert(where, SILENCE)
    fields: dict[str, Any] = {"stream": True} if stream else {}
    behinds = (b"", asked("/v1/messages"), b"GET / HTTP/1.1\r\nX", b"\0\r\n\r\n")
    async with asyncio.TaskGroup() as group:
        for how, behind in itertools.product(WAYS, behinds):
            group.create_task(come_and_leave(place, how, 0.02, asked(path, **fields), behind))
    await nobody_is_left(place, caplog)


@ways
async def test_at_a_refusal(
    served: Served, place: Listening, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client disconnects while it is told what was wrong with its request."""
    caplog.set_level(logging.DEBUG)
    for words in (b"nonsense\r\n\r\n", b"GET /" + b"x" * 10_000, b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 300):
        await come_and_leave(place, how, 0.01, words)
    await nobody_is_left(place, caplog)
