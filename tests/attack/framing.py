"""Requests whose ends are in doubt, and data that is not HTTP at all."""

from __future__ import annotations

import contextlib
import random
import ssl

from tests.attack.registry import attack, attacks
from tests.attack.stage import KEYS, Stage
from tests.attack.wire import statuses


_HIDDEN = (
    b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer %b\r\n\r\n"
)
_MODELS = b'"object":"list"'
_BODY = b'{"model": "http", "messages": [{"role": "user", "content": "hi"}]}'
_CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)

# Lines that say twice, or in an odd way, how long the body is; then the body as the reading with the longer
# request has it. What is hidden behind the shorter one must never be answered.
SHAPES: list[tuple[str, tuple[list[bytes], bytes]]] = [
    ("a length and chunks", ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], b"0\r\n\r\n")),
    ("chunks and a length", ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], b"0\r\n\r\n")),
    ("two lengths", ([b"Content-Length: 2", b"Content-Length: 900"], b"{}")),
    ("a list of lengths", ([b"Content-Length: 2, 900"], b"{}")),
    ("a length with a sign", ([b"Content-Length: +2"], b"{}")),
    ("a negative length", ([b"Content-Length: -2"], b"")),
    ("a length in hex", ([b"Content-Length: 0x2"], b"{}")),
    ("a length with an underscore", ([b"Content-Length: 1_0"], b"{}")),
    ("a length beyond all bounds", ([b"Content-Length: 99999999999999999999999999"], b"{}")),
    ("chunks twice", ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], _CHUNKED)),
    ("chunks not last", ([b"Transfer-Encoding: chunked, identity"], _CHUNKED)),
    ("chunks by another name", ([b"Transfer-Encoding: xchunked"], _CHUNKED)),
    ("chunks with a tab", ([b"Transfer-Encoding:\tchunked", b"Content-Length: 5"], b"0\r\n\r\n")),
    ("a space before the colon", ([b"Transfer-Encoding : chunked", b"Content-Length: 5"], b"0\r\n\r\n")),
    ("a folded line", ([b"X-Folded: a\r\n Transfer-Encoding: chunked", b"Content-Length: 2"], b"{}")),
    ("a folded coding", ([b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5"], b"0\r\n\r\n")),
    ("a bare LF in a line", ([b"X-Bare: a\nTransfer-Encoding: chunked", b"Content-Length: 5"], b"0\r\n\r\n")),
    ("a bare CR in a line", ([b"X-Bare: a\rTransfer-Encoding: chunked", b"Content-Length: 5"], b"0\r\n\r\n")),
    ("a NUL in a line", ([b"X-Nul: a\x00b", b"Content-Length: 2"], b"{}")),
    ("a chunk's size with a sign", ([b"Transfer-Encoding: chunked"], b"+2\r\n{}\r\n0\r\n\r\n")),
    (
        "a chunk's size beyond all bounds",
        ([b"Transfer-Encoding: chunked"], b"fffffffffffffffff2\r\n{}\r\n0\r\n\r\n"),
    ),
    ("a chunk that is too long", ([b"Transfer-Encoding: chunked"], b"2\r\n{}GET\r\n0\r\n\r\n")),
    ("a chunk that ends in LF", ([b"Transfer-Encoding: chunked"], b"2\n{}\n0\n\n")),
]


@attacks(*SHAPES, quick=True)
async def _(stage: Stage, shape: tuple[list[bytes], bytes]) -> None:
    """A request whose length is in doubt is the last one of its connection, and hides no other request."""
    lines, body = shape
    head = [b"POST /v1/chat/completions HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json"]
    key = KEYS["attacker"].encode()
    alone = await stage.tell(_HIDDEN % key, within=1)
    stage.check(_MODELS in alone, "the hidden request is not answered when it is alone")
    data = b"\r\n".join([*head, b"Authorization: Bearer " + key, *lines, b"", b""]) + body
    # also a request that follows another one whose answer is not finished
    for before in (b"", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
        reply = await stage.tell(before + data + _HIDDEN % key, within=2)
        stage.check(_MODELS not in reply, "the request behind it was answered")
        found = statuses(reply)
        stage.check(not found or max(found) < 500, f"it answered {found}")


GARBAGE: list[tuple[str, bytes]] = [
    ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 506),
    ("HTTP/2 at once", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 64),
    ("HTTP/0.9", b"GET /health\r\n\r\n"),
    ("HTTP/9.9", b"GET /health HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n"),
    ("an SSH greeting", b"SSH-2.0-OpenSSH_9.6\r\n"),
    ("a NUL flood", b"\x00" * 1_000_000),
    ("empty lines", b"\r\n" * 100_000),
    ("a target with control characters", b"GET /\x1b[2J\x07 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    ("a target beyond ASCII", b"GET /\xff\xfe\xc3\x28 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    ("a target that is no URL", b"GET http://[::1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    ("a target without a path", b"GET ?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    ("a star", b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    ("WebSocket", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
]


@attacks(*GARBAGE, quick=True)
async def _(stage: Stage, data: bytes) -> None:
    """Data that is not HTTP is refused at once, and the connection is closed."""
    async with stage.wire() as wire:
        await wire.say(data)
        wire.say_no_more()
        reply = await wire.hear(5)
        stage.check(await wire.ended(10), "the connection stays open")
        found = statuses(reply)
        stage.check(not found or all(400 <= one < 500 or one == 505 for one in found), f"it answered {found}")


@attack("random bytes", quick=True)
async def _(stage: Stage) -> None:
    """Bytes of all kinds are refused, and are never a fault of the proxy."""
    chance = random.Random(1)
    head = stage.head(path="/v1/models", method="GET")

    async def one(number: int) -> None:
        data = bytearray(head if number % 2 else chance.randbytes(2000))
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        found = statuses(await stage.tell(bytes(data) + b"\r\n\r\n", within=0.5))
        stage.check(
            not found or max(found) < 500 or max(found) == 505, f"it answered {found}: {bytes(data)[:80]!r}"
        )

    await stage.together(stage.count(2000, 60), one, at_once=50)


@attack("a TLS client", quick=True)
async def _(stage: Stage) -> None:
    """A real TLS client at the port without TLS is told so at once, and does not wait."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    async with stage.wire() as wire:
        await wire.say(outgoing.read())
        stage.check(await wire.ended(5), "the connection stays open")
