"""Providers that do not end, break off, lie, redirect, or repeat what they were told."""

from __future__ import annotations

import asyncio
import json
import random
import re
import zlib
from collections.abc import Awaitable, Callable

import httpx

from tests.attack.connections import MB, chat_body
from tests.attack.evil import Evil, Writer
from tests.attack.registry import attack, attacks
from tests.attack.stage import CHAT, UPSTREAM_KEY, Stage, status_of
from tests.raw_server import whole


Behaviour = Callable[[bytes, Writer], Awaitable[None]]
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
_JSON, _SSE = _OK % b"application/json", _OK % b"text/event-stream"
LONG_ENOUGH = 25.0
"""Seconds after which an answer has ended whose provider has 4 s to say something."""


def fixed(*pieces: bytes) -> Behaviour:
    """Answer with these bytes and close the connection."""

    async def answer(_: bytes, writer: Writer) -> None:
        for piece in pieces:
            await writer.write(piece)

    return answer


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Behaviour:
    """Answer with a beginning, and then with the same piece for ever."""

    async def answer(_: bytes, writer: Writer) -> None:
        await writer.write(start)
        while True:
            await writer.write(piece)
            await asyncio.sleep(pause)

    return answer


async def silent(_: bytes, __: Writer) -> None:
    """Send nothing."""
    await asyncio.sleep(300)


QUESTIONS = {
    "chat": (CHAT, {"model": "evil", "messages": [{"role": "user", "content": "hi"}]}),
    "chat, streamed": (
        CHAT,
        {"model": "evil", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    ),
    "embeddings": ("/v1/embeddings", {"model": "evil", "input": "hi"}),
    "messages": (CHAT, {"model": "evil-messages", "messages": [{"role": "user", "content": "hi"}]}),
    "messages, streamed": (
        "/v1/messages",
        {
            "model": "evil-messages",
            "max_tokens": 9,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
        },
    ),
}


async def each(
    stage: Stage, behaviour: Behaviour, right: Callable[[int, str], bool], *, times: int = 1
) -> None:
    """Ask in every way; each answer must end in time and have the right status and text."""
    stage.evil.behaviour = behaviour

    async def one(told: str) -> None:
        path, body = QUESTIONS[told]
        status, text = await _end_of(stage, path, json.dumps(body).encode())
        stage.check(right(status, text), f"{told}: {status or 'no end in time'}: {text[-150:]!r}")

    for _ in range(times):
        await asyncio.gather(*(one(told) for told in QUESTIONS))


async def _end_of(stage: Stage, path: str, body: bytes) -> tuple[int, str]:
    """Ask, and read without keeping what comes; return the status and the last part of the text."""
    text = ""
    try:
        async with asyncio.timeout(LONG_ENOUGH), stage.client(within=LONG_ENOUGH) as http:
            headers = {"content-type": "application/json"}
            async with http.stream("POST", path, content=body, headers=headers) as reply:
                async for piece in reply.aiter_text():
                    text = (text + piece)[-20_000:]
                stage.check_secrets(text, path)
                return reply.status_code, text
    except (TimeoutError, httpx.HTTPError):
        return 0, text


def failed(status: int, text: str) -> bool:
    """Return whether it is an error of the provider's, before the first word or after it."""
    return status in (502, 503, 504, 529, 429, 400) or (status == 200 and '"error"' in text)


_EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
BROKEN: list[tuple[str, Behaviour]] = [
    ("an answer cut in its head", fixed(b"HTTP/1.1 200 OK\r\nContent-Ty")),
    ("an answer cut in its body", fixed(_JSON + b'Content-Length: 500\r\n\r\n{"choices": [')),
    ("a stream cut in an event", fixed(_SSE + b"Connection: close\r\n\r\n" + _EVENT + _EVENT[:20])),
    ("a stream cut in a chunk", fixed(_SSE + b"Transfer-Encoding: chunked\r\n\r\n50\r\n" + _EVENT[:9])),
    ("nothing at all", fixed()),
    ("no HTTP", fixed(b"SSH-2.0-OpenSSH_9.6\r\n")),
    ("random bytes", fixed(random.Random(3).randbytes(10_000))),
    ("a page", fixed(whole(b"<html>login</html>", "200 OK", "Content-Type: text/html"))),
    ("a list", fixed(whole(b"[]"))),
    ("a number", fixed(whole(b"5"))),
    ("an empty object", fixed(whole(b"{}"))),
    ("choices that are a number", fixed(whole(b'{"choices": 5, "content": 5, "data": 5}'))),
    ("deep JSON", fixed(whole(b'{"choices":' * 5000))),
    ("bytes that are no UTF-8", fixed(whole(b'{"choices": "\xff\xfe"}'))),
    ("silence", silent),
    ("a 500", fixed(whole(b'{"error": {"message": "broken"}}', "500 Internal Server Error"))),
    ("a 500 without words", fixed(whole(b"", "500 Internal Server Error"))),
    ("a 999", fixed(whole(b"{}", "999 Odd"))),
    ("a 204", fixed(b"HTTP/1.1 204 No Content\r\n\r\n")),
    (
        "a 101",
        fixed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ),
    ("two lengths", fixed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 900\r\n\r\n{}")),
]


@attacks(*((f"provider: {name}", behaviour) for name, behaviour in BROKEN), quick=True)
async def _(stage: Stage, behaviour: Behaviour) -> None:
    """What is no answer ends in an error of the provider's, in time."""
    await each(stage, behaviour, failed)


ENDLESS: list[tuple[str, Behaviour]] = [
    ("a whole answer", endless(_JSON + b"\r\n" + b'{"choices": "', b"x" * 65536)),
    ("an answer of white space", endless(_JSON + b"\r\n", b" " * 65536)),
    ("a line of a stream", endless(_SSE + b"\r\n" + b"data: ", b"x" * 65536)),
    ("an event of a stream", endless(_SSE + b"\r\n", b"data: " + b"x" * 1000 + b"\n")),
    ("an error", endless(b"HTTP/1.1 500 Bad\r\nContent-Type: application/json\r\n\r\n", b"x" * 65536)),
    ("a header", endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536)),
    ("headers", endless(b"HTTP/1.1 200 OK\r\n", b"X-Many: " + b"x" * 100 + b"\r\n")),
    ("interim answers", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
]


@attacks(*((f"never-ending: {name}", case) for name, case in ENDLESS), memory=400, limit=90)
async def _(stage: Stage, behaviour: Behaviour) -> None:
    """What does not end is cut off at a limit, with an error of the provider's."""
    await each(stage, behaviour, failed)


@attack("a trickle of headers")
async def _(stage: Stage) -> None:
    """A provider whose headers come drop by drop has no more time than a silent one."""
    await each(stage, endless(b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n", 1.0), failed)


@attack("a trickle of comments", limit=90)
async def _(stage: Stage) -> None:
    """A stream of nothing but signs of life lasts as long as its client likes, and no longer."""
    await each(stage, endless(_SSE + b"\r\n", b": still here\n\n", 0.5), lambda *_: True)
    for _ in range(50):
        if not stage.evil.open:
            break
        await asyncio.sleep(0.1)
    stage.check(not stage.evil.open, f"{stage.evil.open} of the provider's streams are still open")


@attack("a bomb from the provider", memory=400)
async def _(stage: Stage) -> None:
    """A small answer that becomes a gigabyte is cut off at a limit."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    size = stage.count(1024 * MB, 200 * MB)
    bomb = b"".join(stream.compress(b" " * MB) for _ in range(size // MB)) + stream.flush()
    head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    for start in (_JSON, _SSE, b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\n"):
        await each(stage, fixed(start + head, bomb), failed)


@attack("redirects", quick=True)
async def _(stage: Stage) -> None:
    """A redirect of a provider is not followed: its key and the prompt go nowhere else."""
    async with Evil() as trap:
        for status in (301, 302, 303, 307, 308):
            for target in (f"{trap.url}/v1/chat/completions", "file:///etc/passwd", "//127.0.0.1:1/"):
                head = f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
                await each(stage, fixed(head.encode()), failed)
        stage.check(trap.heard == 0, f"{trap.heard} redirects were followed")


@attack("errors that say the request again", honest=("http", "cli"), bound=20, quick=True)
async def _(stage: Stage) -> None:
    """If an error contains the prompt or the provider's key, neither gets into the log."""

    async def again(request: bytes, writer: Writer) -> None:
        key = re.search(rb"(?i)(?:bearer |x-api-key: )(\S+)", request)
        said = {"error": {"message": (request.decode("latin-1") + str(key and key[1]))}}
        await writer.write(whole(json.dumps(said).encode(), f"{statuses[0]} Bad"))

    statuses = [500]
    for status in (400, 401, 403, 404, 413, 422, 429, 500, 503, 529):
        statuses[0] = status
        stage.evil.behaviour = again
        for model in ("evil", "evil-messages"):
            for stream in (False, True):
                reply = await stage.ask(stage.canary, model, stream=stream)
                stage.check(status_of(reply) >= 400, f"{model}: it answered {status_of(reply)}")
                held = reply is not None and UPSTREAM_KEY in reply.text
                stage.check(not held, f"{model}: the provider's key is in an error of {status}")
    for says in ("status 400", "status 500", "drop 1", "status 529", "say"):
        reply = await stage.ask(
            f"[[{says} {stage.canary if ' ' not in says or 'status' in says else ''}]]", "sonnet"
        )
        stage.check(status_of(reply), f"{says}: no answer came")


@attack("a provider that answers somebody else", quick=True)
async def _(stage: Stage) -> None:
    """Bytes after an answer are not taken for the next answer."""
    message = b'{"role": "assistant", "content": "%b"}'
    answer = b'{"choices": [{"index": 0, "message": ' + message + b', "finish_reason": "stop"}]}'
    kind = "Content-Type: application/json"
    first, second = (whole(answer % word, "200 OK", kind) for word in (b"yours", b"somebody else's"))

    async def both(_: bytes, writer: Writer) -> None:
        await writer.write(first + second)
        await asyncio.sleep(2)

    stage.evil.behaviour = both
    for _ in range(stage.count(40, 4)):
        reply = await stage.post_json(CHAT, chat_body(model="evil"), within=10)
        wrong = reply is not None and "somebody" in reply.text
        stage.check(reply is not None and not wrong, "an answer was taken for another's")
