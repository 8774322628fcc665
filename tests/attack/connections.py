"""Connections that are too many, too slow, too large, or that end when they should not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from collections.abc import Iterator

from tests.attack.evil import Writer
from tests.attack.registry import attack
from tests.attack.stage import Stage
from tests.attack.wire import GONE, PIECE, statuses


MB = 1024 * 1024
PATIENCE = 45.0
"""Seconds after which the server has ended whoever does not finish a request."""
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _pieces(size: int, start: bytes = b"", piece: bytes = b"x" * PIECE) -> Iterator[bytes]:
    yield start
    for _ in range(size // len(piece)):
        yield piece


def chat_body(text: str = "hi", model: str = "http", **fields: object) -> bytes:
    """Return the body of a question."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **fields}).encode()


# --- too large


@attack("a header of 300 MB", quick=True)
async def _(stage: Stage) -> None:
    """It is refused with 431 long before all of it has come."""
    size = stage.count(300 * MB, 8 * MB)
    start = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {stage.canary}".encode()
    async with stage.wire() as wire:
        whole = await wire.say_all(_pieces(size, start))
        reply = await wire.hear(2)
        stage.check(not whole or 431 in statuses(reply), f"it took all of {size // MB} MB of a header")
        # a client that is still sending is reset, and then the answer may be lost on its way
        stage.check(not statuses(reply) or statuses(reply) == [431], f"it answered {statuses(reply)}")


@attack("10,000 headers", quick=True)
async def _(stage: Stage) -> None:
    """They are refused with 431."""
    lines = "".join(f"X-{number}: a\r\n" for number in range(10_000))
    reply = await stage.tell(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lines.encode() + b"\r\n")
    stage.check(statuses(reply) in ([431], []), f"it answered {statuses(reply)}")


@attack("a target of 20 MB", quick=True)
async def _(stage: Stage) -> None:
    """It is refused with 414 or 431 long before all of it has come."""
    size = stage.count(20 * MB, 4 * MB)
    async with stage.wire() as wire:
        whole = await wire.say_all(_pieces(size, b"GET /v1/models/"))
        found = statuses(await wire.hear(2))
        stage.check(not whole or found, f"it took all of {size // MB} MB of a target")
        stage.check(not found or found[0] in (414, 431), f"it answered {found}")


@attack("trailers without an end", quick=True)
async def _(stage: Stage) -> None:
    """The trailers of a body are limited as headers are."""
    size = stage.count(200 * MB, 40 * MB)
    body = chat_body()
    start = stage.head("Content-Type: application/json", "Transfer-Encoding: chunked")
    start += b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    async with stage.wire() as wire:
        whole = await wire.say_all(
            _pieces(size, start, b"X-Trailer: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 1000)
        )
        stage.check(not whole, f"it took all of {size // MB} MB of trailers")


@attack("a chunk's extension without an end")
async def _(stage: Stage) -> None:
    """An extension is limited as headers are."""
    size = stage.count(200 * MB, 40 * MB)
    start = stage.head("Content-Type: application/json", "Transfer-Encoding: chunked") + b"5;"
    async with stage.wire() as wire:
        whole = await wire.say_all(_pieces(size, start))
        stage.check(not whole, f"it took all of {size // MB} MB of an extension")


@attack("a body without an end", memory=300, quick=True)
async def _(stage: Stage) -> None:
    """A body in chunks is refused with 413 when it is larger than `max_body_bytes`."""
    start = stage.head("Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"%x\r\n%b\r\n" % (PIECE, b" " * PIECE)
    async with stage.wire() as wire:
        whole = await wire.say_all(_pieces(400 * MB, start, chunk))
        found = statuses(await wire.hear(2))
        stage.check(not whole or 413 in found, "it took all of 400 MB of a body")
        stage.check(found in ([], [413]), f"it answered {found}")


# --- too slow


async def _drip(stage: Stage, start: bytes, drop: bytes) -> bool:
    """Send a drop every second; return whether the server ends the connection in time."""
    with contextlib.suppress(*GONE):
        async with stage.wire() as wire:
            await wire.say(start)
            for _ in range(int(PATIENCE)):
                if not await wire.say(drop) or await wire.ended(1.0):
                    return True
            return False
    return True


@attack("slow requests", limit=90)
async def _(stage: Stage) -> None:
    """A client that sends drops, stops half way, or begins and sends nothing, is cut off in time."""
    head = stage.head("Content-Type: application/json", "Content-Length: 100000")
    expecting = stage.head("Content-Type: application/json", "Content-Length: 100", "Expect: 100-continue")
    kinds = {
        "headers that drip in": (stage.head()[:-2], b"X-Slow: a\r\n"),
        "a first line that drips in": (b"GET /", b"a"),
        "a body that drips in": (head, b" "),
        "half a head": (stage.head()[:-10], b""),
        "half a body": (stage.post(chat_body())[:-10], b""),
        "a client that may go on": (expecting, b""),
    }

    async def one(number: int) -> None:
        told = list(kinds)[number % len(kinds)]
        stage.check(await _drip(stage, *kinds[told]), f"{told}: borne for {PATIENCE:.0f} s")

    await stage.together(stage.count(1200, 24), one, at_once=1200)


# --- too many


@attack("2,000 idle connections", limit=90)
async def _(stage: Stage) -> None:
    """Others are served meanwhile, and the idle connections are closed in time."""
    count = stage.count(2000, 200)
    async with contextlib.AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(stage.wire()) for _ in range(count)]
        ended = await asyncio.gather(*(wire.ended(PATIENCE) for wire in wires))
        stage.check(all(ended), f"{ended.count(False)} of {count} idle connections were kept")


@attack("idle connections without descriptors", alone=True, bound=30, limit=90)
async def _(stage: Stage) -> None:
    """With few descriptors, idle connections delay others for a while, but not for ever."""
    pid = stage.proxy.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (100, usual[1]))
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            await stack.enter_async_context(stage.wire())
            stage.tried += 1
        await asyncio.sleep(stage.seconds(20, 5))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    stage.check(await stage.ask("hi", within=20), "it does not serve when the descriptors are back")


@attack("5,000 connections that leave at once", quick=True)
async def _(stage: Stage) -> None:
    """They leave nothing open."""

    async def one(number: int) -> None:
        with contextlib.suppress(*GONE):
            async with stage.wire() as wire:
                stage.tried += 1
                if number % 2:
                    wire.reset()

    await stage.together(stage.count(5000, 200), one)


# --- which end when they should not


@attack("clients that leave while they send", quick=True)
async def _(stage: Stage) -> None:
    """Half a body and then a hang-up or a reset leave nothing open, and no line that looks like a fault."""
    data = stage.post(chat_body(stage.canary * 1000))

    async def one(number: int) -> None:
        with contextlib.suppress(*GONE):
            async with stage.wire() as wire:
                await wire.say(data[: len(data) // 2])
                await asyncio.sleep(0.01)
                stage.tried += 1
                if number % 2:
                    wire.reset()

    await stage.together(stage.count(400, 40), one)


@attack("resets in the answer", quick=True)
async def _(stage: Stage) -> None:
    """A client that is reset in the middle of its answer leaves nothing open."""
    data = stage.post(chat_body("[[pace 0.01 2000]]", stream=True))

    async def one(number: int) -> None:
        with contextlib.suppress(*GONE):
            async with stage.wire() as wire:
                await wire.say(data)
                await wire.hear(5, most=1000)
                stage.tried += 1
                if number % 2:
                    wire.reset()

    await stage.together(stage.count(200, 20), one)


@attack("readers that stop reading", memory=200, limit=90)
async def _(stage: Stage) -> None:
    """What nobody reads is not piled up: the provider waits until there is room."""

    async def pour(_: bytes, writer: Writer) -> None:
        await writer.write(_STREAM_HEAD)
        word = json.dumps({"choices": [{"index": 0, "delta": {"content": "word " * 200}}]})
        event = f"data: {word}\n\n".encode()
        events = b"%x\r\n%b\r\n" % (len(event), event) * 16
        while True:
            await writer.write(events)

    stage.evil.behaviour = pour
    data = stage.post(chat_body(model="evil", stream=True))
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(stage.count(60, 10)):
            wire = await stack.enter_async_context(stage.wire(buffer=4096))
            await wire.say(data)
            stage.tried += 1
        await asyncio.sleep(stage.seconds(15, 4))
    for _ in range(50):
        if not stage.evil.open:
            return
        await asyncio.sleep(0.2)
    stage.check(not stage.evil.open, f"{stage.evil.open} streams of the provider are still open")


@attack("clients that say no more", descriptors=124, quick=True)  # the provider's connections are kept
async def _(stage: Stage) -> None:
    """A client that ends its sending side after the question is answered."""

    async def one(_: int) -> None:
        async with stage.wire() as wire:
            await wire.say(stage.post(chat_body()))
            wire.say_no_more()
            found = statuses(await wire.hear(10))
            stage.check(found == [200], f"a half-closed client got {found}")

    await stage.together(stage.count(100, 10), one)


@attack("5,000 requests in one go", quick=True)
async def _(stage: Stage) -> None:
    """Requests that are sent without waiting are answered in their order, each rightly."""
    count = stage.count(5000, 200)
    head = stage.head(path="/v1/models", method="GET", keep=True)
    async with stage.wire() as wire:
        saying = asyncio.get_running_loop().create_task(wire.say(head * count))
        found = statuses(await wire.hear(3, most=200 * MB))
        await saying
    stage.check(set(found) == {200}, f"answers of other kinds came, too: {set(found)}")


@attack("a chat behind a chat on one connection", quick=True)
async def _(stage: Stage) -> None:
    """Two questions in one write get two answers, in their order."""
    data = b"".join(stage.post(chat_body(f"number {number}"), keep=True) for number in (1, 2))
    reply = await stage.tell(data, within=2)
    first, second = reply.find(b"number 1"), reply.find(b"number 2")
    stage.check(0 < first < second, "the answers are not there, or not in order")
