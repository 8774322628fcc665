"""Connections as clients make them: with offers of other protocols, of HTTP/1.0, and half closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from tests.scripted import SILENCE
from tests.server.conftest import Served
from tests.server.raw_client import SOON, Listening, chat, chunked, listening, request


pytestmark = pytest.mark.slow
JDK = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA")
OFFERS = {
    "none": (),
    "h2c": JDK,
    "websocket": (
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "tls": ("Upgrade: TLS/1.3, HTTP/1.1", "connection: upgrade"),
    "several": ("UPGRADE: h2c, websocket", "CONNECTION: UPGRADE", "Upgrade: irc"),
    "unnamed": ("Upgrade: h2c",),
}
offered = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
BODIES = {
    "its length": request,
    "chunks": chunked,
    "chunks and a trailer": lambda body, *headers: chunked(body, *headers, trailer="X-Sum: 7\r\n"),
}
Write = Callable[..., bytes]
bodies = pytest.mark.parametrize("write", BODIES.values(), ids=BODIES)


@pytest.fixture
async def place(served: Served) -> AsyncIterator[Listening]:
    """A server with the defaults, on a socket."""
    async with listening(served.application) as place:
        yield place


async def until(served: Served, closed: int) -> None:
    """Wait until so many answers are finished, as soon as a user may expect."""
    async with asyncio.timeout(2):
        while served.backend.closed < closed:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)


def questions(served: Served) -> list[str]:
    """Return what the backend was asked, in order."""
    return [asked.messages[-1].parts[0].text for asked, _ in served.backend.asked]


# --- offers of another protocol


@offered
@bodies
async def test_an_offer(served: Served, place: Listening, offer: tuple[str, ...], write: Write) -> None:
    """A request that offers another protocol is answered in HTTP/1.1, and so is the next one."""
    client = await place.client()
    for text in ("one", "two"):
        client.say(write(chat(text), *offer))
        heard = await client.hear()
        assert (heard.status, heard.text) == (200, "Hello!")
        assert not {"upgrade", "connection"} & heard.headers.keys()
    client.say(request(path="/health"))
    assert (await client.hear()).status == 200
    assert questions(served) == ["one", "two"]


@offered
async def test_an_offer_without_a_body(place: Listening, offer: tuple[str, ...]) -> None:
    """A GET that offers another protocol is answered, and the connection stays open."""
    client = await place.client()
    for _ in range(2):
        client.say(request(None, *offer, path="/health"))
        assert (await client.hear()).status == 200


@offered
@bodies
async def test_offers_in_a_row(
    served: Served, place: Listening, offer: tuple[str, ...], write: Write
) -> None:
    """Requests that arrive together are answered in order, whichever of them offers another protocol."""
    client = await place.client()
    texts = [f"number {number}" for number in range(6)]
    client.say(*(write(chat(text), *(offer if n % 2 else ())) for n, text in enumerate(texts)))
    for _ in texts:
        assert (await client.hear()).text == "Hello!"
    assert questions(served) == texts


@offered
@bodies
async def test_an_offer_byte_by_byte(
    served: Served, place: Listening, offer: tuple[str, ...], write: Write
) -> None:
    """A request may arrive in any pieces, even byte by byte."""
    client = await place.client()
    await client.say_slowly(write(chat("slowly"), *offer) + write(chat("again"), *offer))
    assert [(await client.hear()).status, (await client.hear()).status] == [200, 200]
    assert questions(served) == ["slowly", "again"]


async def test_a_thousand_offers(place: Listening) -> None:
    """All requests that arrive in one piece are answered, even a thousand."""
    client = await place.client()
    client.say(request(None, *JDK, path="/health") * 1000)
    for _ in range(1000):
        assert (await client.hear()).status == 200


async def test_an_offer_that_waits(served: Served, place: Listening) -> None:
    """A client that waits for "100 Continue" before it sends its body gets it."""
    client = await place.client()
    head, blank, body = request(chat(), *JDK, "Expect: 100-continue").partition(b"\r\n\r\n")
    client.say(head, blank)
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    client.say(body)
    assert (await client.hear()).status == 200


@offered
async def test_headers_beside_an_offer(served: Served, place: Listening, offer: tuple[str, ...]) -> None:
    """Every other header arrives unchanged, whatever it contains."""
    client = await place.client()
    name = 'a\tb: c, "d" \xfc\xff'
    client.say(request(chat(), f"User-Agent:  {name}", *offer, "X-Empty:", "X-Session-Id: me"))
    assert (await client.hear()).status == 200
    asked = served.backend.asked[0][0].client
    assert (asked.program, asked.session) == (name, "me")


BAD = {
    "two lengths": "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length and chunks": "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "a length that is none": "Content-Length: +3\r\n\r\nabc",
    "lengths in one": "Content-Length: 3, 3\r\n\r\nabc",
    "a coding that is unknown": "Transfer-Encoding: gzip\r\n\r\nabc",
    "chunks that are not last": "Transfer-Encoding: chunked, gzip\r\n\r\nabc",
    "a name with a space": "Content-Length : 3\r\n\r\nabc",
    "a folded line": "X: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    "a bare line feed": "X: a\nContent-Length: 3\r\n\r\nabc",
    "a bare carriage return": "X: a\rContent-Length: 3\r\n\r\nabc",
    "a zero byte": "X: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    "a chunk that is none": "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that is too long": "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
}


@offered
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    ("path", "fields"),
    [("/v1/chat/completions", ["error"]), ("/v1/messages", ["type", "error"])],
    ids=["openai", "anthropic"],
)
async def test_what_is_no_http(
    served: Served, place: Listening, bad: str, offer: tuple[str, ...], path: str, fields: list[str]
) -> None:
    """A request that could be read in two ways is refused in its API's envelope; the connection is closed."""
    client = await place.client()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *offer, bad]
    client.say("\r\n".join(lines).encode("latin-1"), request(chat("smuggled")))
    heard = await client.hear()
    assert (heard.status, heard.headers["connection"]) == (400, "close")
    answer = msgspec.json.decode(heard.body)
    assert list(answer) == fields
    assert answer["error"]["type"] == "invalid_request_error"
    assert await client.rest() == b""
    assert served.backend.asked == []


@pytest.mark.parametrize("target", ["127.0.0.1:80", "/v1/chat/completions"])
async def test_a_tunnel(place: Listening, target: str) -> None:
    """CONNECT is refused: this is not a proxy of that kind."""
    client = await place.client()
    client.say(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode(), request(path="/health"))
    assert (await client.hear()).status == 400
    assert await client.rest() == b""


@pytest.mark.parametrize("after", [b"\0\0\0\0", request(chat("bad"))[:-3] + b"\0" * 9, b"GET\r\n\r\n"])
async def test_what_is_no_http_after_a_request(served: Served, place: Listening, after: bytes) -> None:
    """If something that is not HTTP follows a request, its answer stays intact; then the connection ends."""
    served.backend.script.insert(0, 0.1)
    client = await place.client()
    client.say(request(chat("good")), after + b"\r\n\r\n")
    heard = await client.hear()
    assert (heard.status, heard.text) == (200, "Hello!")
    assert b"Hello!" not in await client.rest()


# --- HTTP/1.0


@pytest.mark.parametrize("host", [True, False])
async def test_an_old_client(served: Served, place: Listening, host: bool) -> None:
    """A client of HTTP/1.0, which may leave out the host, gets an answer with its length, and a close."""
    client = await place.client()
    asked = request(chat(), version="1.0")
    client.say(asked if host else asked.replace(b"Host: 127.0.0.1\r\n", b""))
    heard = await client.hear()
    assert (heard.status, heard.text, heard.headers["connection"]) == (200, "Hello!", "close")
    assert await client.rest() == b""


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("host", ["evil.example", ""])
async def test_a_host_that_an_old_client_says(
    served: Served, place: Listening, host: str, version: str
) -> None:
    """A host that a request names is checked in every version, and HTTP/1.1 requires one."""
    client = await place.client()
    client.say(request(chat(), version=version).replace(b"Host: 127.0.0.1", f"Host: {host}".encode()))
    assert (await client.hear()).status == (403 if host else 400)
    client = await place.client()
    client.say(request(chat()).replace(b"Host: 127.0.0.1\r\n", b""))
    assert (await client.hear()).status == 400
    assert served.backend.asked == []


@pytest.mark.parametrize("keep", [(), ("Connection: keep-alive",)])
async def test_a_stream_to_an_old_client(served: Served, place: Listening, keep: tuple[str, ...]) -> None:
    """A stream to HTTP/1.0 is sent without chunks, and ends with the connection."""
    client = await place.client()
    client.say(request(chat(stream=True), *keep, version="1.0"))
    heard = await client.hear()
    assert (heard.status, heard.headers["connection"]) == (200, "close")
    assert "transfer-encoding" not in heard.headers
    assert heard.body.startswith(b"data: {")
    assert heard.body.endswith(b"data: [DONE]\n\n")


async def test_an_old_client_that_stays(served: Served, place: Listening) -> None:
    """A client of HTTP/1.0 that asks for it keeps its connection if the answer's length is stated."""
    client = await place.client()
    for _ in range(3):
        client.say(request(chat(), "Connection: Keep-Alive", version="1.0"))
        assert (await client.hear()).headers["connection"] == "keep-alive"
    client.say(request(path="/nowhere", version="1.0"))
    assert (await client.hear()).headers["connection"] == "close"
    assert await client.rest() == b""


async def test_chunks_of_an_old_client(served: Served, place: Listening) -> None:
    """HTTP/1.0 knows no chunks, so what follows them may be smuggled: nothing after them is read."""
    client = await place.client()
    asked = chunked(chat(), "Connection: keep-alive", version="1.0")
    client.say(asked, request(chat("smuggled")))
    assert (await client.hear()).headers["connection"] == "close"
    assert await client.rest() == b""
    assert questions(served) == ["hi"]


# --- clients that only listen, and clients that have left


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("where", [0, 1, 3], ids=["at first", "before a part", "in it"])
async def test_a_client_that_only_listens(
    served: Served, place: Listening, version: str, stream: bool, where: int
) -> None:
    """A client that has shut down its sending side is answered, however late; then its connection ends."""
    served.backend.script.insert(where, 0.7)
    client = await place.client()
    client.say(request(chat(stream=stream), version=version))
    client.say_no_more()
    heard = await client.hear()
    assert (heard.status, heard.headers["connection"]) == (200, "close")
    assert b"Hello!" in heard.body
    assert await client.rest() == b""


async def test_requests_of_a_client_that_only_listens(served: Served, place: Listening) -> None:
    """All of its complete requests are answered, and an incomplete one is not."""
    served.backend.script.insert(0, 0.2)
    client = await place.client()
    client.say(request(chat("one")), request(chat("two"), *JDK), request(chat("three"))[:-1])
    client.say_no_more()
    assert [(await client.hear()).text, (await client.hear()).text] == ["Hello!", "Hello!"]
    assert await client.rest() == b""
    assert questions(served) == ["one", "two"]


@pytest.mark.parametrize("cut", [-1, -30, 20])
async def test_half_a_request(served: Served, place: Listening, cut: int) -> None:
    """A client that shuts down its sending side in the middle of a request gets the end of the connection."""
    client = await place.client()
    client.say(request(chat())[:cut])
    client.say_no_more()
    assert await client.rest() == b""
    assert served.backend.asked == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("where", [0, 1, 3], ids=["at first", "before a part", "in it"])
@pytest.mark.parametrize("gently", [False, True], ids=["at once", "one side first"])
async def test_a_client_that_leaves(
    served: Served, place: Listening, version: str, stream: bool, where: int, gently: bool
) -> None:
    """If a client closes the connection, the work on its answer ends."""
    served.backend.script.insert(where, SILENCE)
    client = await place.client()
    client.say(request(chat(stream=stream), version=version))
    async with asyncio.timeout(SOON):
        while not served.backend.asked:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
    if gently:
        client.say_no_more()
        await asyncio.sleep(0.2)
        assert served.backend.closed == 0
    await client.leave()
    await until(served, 1)


async def test_a_client_that_leaves_with_requests_behind(served: Served, place: Listening) -> None:
    """The answer that is under way ends, and those that wait for their turn never begin."""
    served.backend.script.insert(0, SILENCE)
    client = await place.client()
    client.say(*(request(chat(text)) for text in ("one", "two", "three")))
    await asyncio.sleep(0.1)
    await client.leave()
    await until(served, 1)
    assert questions(served) == ["one"]
