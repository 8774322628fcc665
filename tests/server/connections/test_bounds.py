"""How much a client may send, and how long it may take, before its key is known."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from claude_max_proxy import Finished, PartStarted, Started, complete_part
from claude_max_proxy.server.connections import patience
from claude_max_proxy.server.connections.measure import LONGEST_TARGET, MOST_BYTES, MOST_HEADERS
from tests.server.conftest import Served
from tests.server.raw_client import SOON, Heard, Listening, RawClient, chat, listening, request


PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "nobody's": "/nowhere"}
paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
QUICK: dict[str, Any] = {"header_timeout": 0.4, "body_timeout": 0.4, "write_timeout": 0.4}


@pytest.fixture
async def place(served: Served) -> AsyncIterator[Listening]:
    """A server with the defaults, on a socket."""
    async with listening(served.application) as place:
        yield place


@pytest.fixture
async def quick(served: Served) -> AsyncIterator[Listening]:
    """A server with little patience."""
    async with listening(served.application, None, **QUICK) as place:
        yield place


def error_of(heard: Heard, path: str) -> Any:
    """Return the error of an answer, which is in the envelope of the path's API."""
    assert heard.headers["content-type"] == "application/json"
    answer = msgspec.json.decode(heard.body)
    assert (answer.get("type") == "error") == (path == PATHS["anthropic"])
    return answer["error"]


async def refused(client: RawClient, status: int, code: str, path: str) -> None:
    """Read a refusal, and the end of the connection."""
    heard = await client.hear()
    assert (heard.status, heard.headers["connection"]) == (status, "close")
    assert error_of(heard, path)["code"] == code
    assert await client.rest() == b""


# --- how much


def large(path: str, *, headers: int = 0, size: int = 0, target: int = 0, trailer: int = 0) -> bytes:
    """Return a chat with so many further headers, or with a header, a target or a trailer of this size."""
    lines = [f"X-{number}: 1" for number in range(headers)]
    lines += ["X-Large: " + "x" * size] if size else []
    path += "?" + "x" * (target - len(path) - 1) if target else ""
    if not trailer:
        return request(chat(), *lines, path=path)

    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "Transfer-Encoding: chunked"])
    body = b"%x\r\n%b\r\n0\r\nX-Sum: %b\r\n\r\n" % (len(chat()), chat(), b"x" * trailer)
    return head.encode() + b"\r\n\r\n" + body


FITTING: dict[str, dict[str, int]] = {
    "many headers": {"headers": MOST_HEADERS - 3},
    "a large header": {"size": MOST_BYTES - 200},
    "a long target": {"target": LONGEST_TARGET},
    "a large trailer": {"trailer": MOST_BYTES - 200},
}
BEYOND: dict[str, tuple[dict[str, int], int, str]] = {
    "many headers": ({"headers": MOST_HEADERS - 2}, 431, "headers_too_large"),
    "a large header": ({"size": MOST_BYTES}, 431, "headers_too_large"),
    "large headers": ({"headers": 150, "size": MOST_BYTES - 500}, 431, "headers_too_large"),
    "a huge header": ({"size": 100 * MOST_BYTES}, 431, "headers_too_large"),
    "a long target": ({"target": LONGEST_TARGET + 1}, 414, "target_too_long"),
    "a huge target": ({"target": 100 * MOST_BYTES}, 414, "target_too_long"),
}


@pytest.mark.parametrize("fitting", FITTING.values(), ids=FITTING)
async def test_what_fits(served: Served, place: Listening, fitting: dict[str, int]) -> None:
    """Requests within the bounds are answered, one after the other on one connection."""
    client = await place.client()
    for _ in range(3):
        client.say(large(PATHS["openai"], **fitting))
        assert (await client.hear()).status == 200


@pytest.mark.parametrize("beyond", BEYOND.values(), ids=BEYOND)
@paths
async def test_what_is_too_much(
    served: Served, place: Listening, beyond: tuple[dict[str, int], int, str], path: str
) -> None:
    """A request beyond a bound is refused in the envelope of its API, also after proper requests."""
    fields, status, code = beyond
    client = await place.client()
    client.say(request(chat()), request(None, path="/health"))
    assert [(await client.hear()).status, (await client.hear()).status] == [200, 200]
    client.say(large(path, **fields))
    await refused(client, status, code, path)
    assert len(served.backend.asked) == 1


FLOODS = {
    "a header": b"GET / HTTP/1.1\r\nX: ",
    "a header's name": b"GET / HTTP/1.1\r\nX",
    "a target": b"GET /",
    "empty lines": b"",
    "a trailer": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: ",
    "an extension": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=",
}


@pytest.mark.parametrize("start", FLOODS.values(), ids=FLOODS)
async def test_a_flood(place: Listening, start: bytes) -> None:
    """Input that never ends is refused after little of it, and the rest is not waited for."""
    client = await place.client()
    heard = asyncio.get_running_loop().create_task(client.hear())
    client.say(start)
    pieces = 0
    while not heard.done() and pieces < 500:
        client.say((b"x" if start else b"\r\n") * 16_384)
        pieces += 1
        await asyncio.sleep(0.005)
    assert (await heard).status in {414, 431}
    assert pieces < 100


async def test_trailers_are_no_headers(served: Served, place: Listening) -> None:
    """The trailer after a chunked body does not count as headers of the request."""
    client = await place.client()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    trailer = b"Content-Encoding: gzip\r\nOrigin: https://evil.example\r\nUser-Agent: other\r\n"
    client.say(head, b"\r\n%x\r\n%b\r\n0\r\n" % (len(chat()), chat()), trailer, b"\r\n")
    assert (await client.hear()).status == 200
    assert served.backend.asked[0][0].client.program == ""


async def test_a_body_that_is_already_answered(served: Served) -> None:
    """The rest of a body that was refused is read, but no more than a body may have."""
    async with listening(served.application, max_body_bytes=1_000_000) as place:
        client = await place.client()
        client.say(request(b"", "Content-Encoding: none").replace(b"Length: 0", b"Length: 9000000"))
        assert (await client.hear()).status == 415
        with contextlib.suppress(OSError):  # the client may notice while it sends
            for _ in range(30):
                client.say(b"x" * 100_000)
                await asyncio.wait_for(client.writer.drain(), SOON)
                await asyncio.sleep(0.01)
        async with asyncio.timeout(SOON):
            while place.state.connections:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)


# --- how long


def long_answer(pieces: int) -> list[Any]:
    """A script of so many pieces of text, each of 100 kB."""
    texts = ["x" * 100_000] * pieces
    return [Started("one"), *complete_part(PartStarted(0, "text"), *texts), Finished("stop")]


SLOW = {
    "a request line": b"POST /v1/chat",
    "a header": b"GET /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "headers": b"GET /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "a body": request(chat())[:-10],
    "a chunk": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n9\r\n{",
    "a chunk's size": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n9",
}


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
async def test_who_is_slow(served: Served, quick: Listening, later: bool) -> None:
    """A request that does not continue is refused in its API's envelope, and its connection closed."""

    async def stop_in_the_middle(start: bytes) -> None:
        client = await quick.client()
        if later:
            client.say(request(None, path="/health"))
            assert (await client.hear()).status == 200
        client.say(start)
        await refused(client, 408, "request_timeout", PATHS["openai"])

    async with asyncio.TaskGroup() as group:
        for name, start in SLOW.items():
            group.create_task(stop_in_the_middle(start), name=name)
    assert served.backend.asked == []


async def test_who_drips(quick: Listening) -> None:
    """A byte now and then does not count as progress."""
    client = await quick.client()
    for byte in request(chat())[:40]:
        client.say(bytes([byte]))
        await asyncio.sleep(0.02)
    await refused(client, 408, "request_timeout", PATHS["openai"])


async def test_who_says_nothing(quick: Listening) -> None:
    """A connection on which nothing is sent is closed without an answer."""
    client = await quick.client()
    assert await client.rest() == b""
    client = await quick.client()
    client.say(b"\r\n")
    assert await client.rest() == b""


async def test_a_slow_line(served: Served) -> None:
    """A body that takes many times as long as one wait is read, as long as it keeps coming."""
    async with listening(served.application, body_timeout=0.5) as place:
        client = await place.client()
        whole = request(chat("x" * 20_000))
        client.say(whole[:-19_000])
        for position in range(len(whole) - 19_000, len(whole), 500):
            client.say(whole[position : position + 500])
            await asyncio.sleep(0.05)
        assert (await client.hear()).status == 200


async def test_who_waits_to_be_told(served: Served, quick: Listening) -> None:
    """If a request has to wait for its turn, that is not held against the client."""
    served.backend.script.insert(0, 1.0)
    client = await quick.client()
    head, blank, body = request(chat("two"), "Expect: 100-continue").partition(b"\r\n\r\n")
    client.say(request(chat("one")), head, blank)
    assert (await client.hear()).status == 200
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    client.say(body)
    assert (await client.hear()).status == 200


async def test_who_was_told_to_go_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that may send its body, and does not, gets the same time as any other, not twice as much."""
    monkeypatch.setattr(patience, "HELD_FOR", 0.05)
    async with listening(served.application, body_timeout=0.5) as place:
        client = await place.client()
        client.say(request(chat(), "Expect: 100-continue").partition(b"\r\n\r\n")[0], b"\r\n\r\n")
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        async with asyncio.timeout(2.5):
            await refused(client, 408, "request_timeout", PATHS["openai"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_who_does_not_read(served: Served, quick: Listening, stream: bool) -> None:
    """A client that reads nothing of a large answer is cut off, and no work goes on for it."""
    served.backend.script[:] = long_answer(300)
    client = await quick.client()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it can
    client.say(request(chat(stream=stream)))
    async with asyncio.timeout(SOON):
        while not served.backend.closed or quick.state.connections:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.02)


async def test_who_reads_slowly(served: Served) -> None:
    """A client that keeps reading gets the whole answer, however long that takes."""
    served.backend.script[:] = long_answer(30)
    async with listening(served.application, None, 100_000, **QUICK) as place:
        client = await place.client()
        client.say(request(chat(stream=True)))
        size = 0
        async with asyncio.timeout(60):
            while b"[DONE]" not in (data := await client.reader.read(30_000)):
                size += len(data)
                await asyncio.sleep(0.01)
    assert size > 2_900_000


async def test_an_answer_takes_its_time(served: Served, quick: Listening) -> None:
    """None of these bounds limits the model's time."""
    served.backend.script[:0] = [1.0]
    client = await quick.client()
    client.say(request(chat()))
    assert (await client.hear()).status == 200
