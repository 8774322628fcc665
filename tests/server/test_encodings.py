"""Compressed bodies: decompressed before they are read, and never larger than a body may be."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from claude_max_proxy.server.encodings import codings, unpack
from tests.server.conftest import Serve, Served


def raw_deflate(body: bytes) -> bytes:
    """Compress without zlib's frame, as some clients do."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


PACK: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
}
BODY = json.dumps({"model": "claude-sonnet-4", "messages": [{"role": "user", "content": "hello"}]}).encode()
ROUTES = ["/v1/chat/completions", "/v1/messages/count_tokens"]


@given(st.binary(max_size=3000), st.lists(st.sampled_from(sorted(PACK)), min_size=1, max_size=4))
def test_every_coding(body: bytes, names: list[str]) -> None:
    """Whatever encodings a body has are undone, the last one first."""
    packed = body
    for name in names:
        packed = PACK[name][1](packed)
    assert unpack(packed, [PACK[name][0] for name in names], 10_000) == body


def test_frames_one_after_the_other() -> None:
    """A body may consist of several frames where the format allows it, and of as many as that is sensible."""
    for name in ("gzip", "zstd"):
        coding, pack = PACK[name]
        assert unpack(pack(b"one ") + pack(b"two"), [coding], 10_000) == b"one two"
        with pytest.raises(InvalidRequest, match="more follows"):
            unpack(pack(b"") * 100_000, [coding], 10_000_000)
    for name in ("deflate", "br"):
        coding, pack = PACK[name]
        with pytest.raises(InvalidRequest):
            unpack(pack(b"one ") + pack(b"two"), [coding], 10_000)


@pytest.mark.parametrize("name", PACK)
def test_a_bomb(name: str) -> None:
    """A small body that decompresses to a large one is abandoned at the limit, not after it."""
    coding, pack = PACK[name]
    with pytest.raises(BodyTooLarge):
        unpack(pack(bytes(50_000_000)), [coding], 1_000_000)
    with pytest.raises(BodyTooLarge):
        unpack(pack(pack(bytes(50_000_000))), [coding, coding], 1_000_000)


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    "spoil", [lambda body: body[:-3], lambda _: b"plain", lambda body: body[:9] + b"x" + body[9:]]
)
def test_what_is_broken(name: str, spoil: Callable[[bytes], bytes]) -> None:
    """A body that does not have the encoding that it states is refused as such."""
    coding, pack = PACK[name]
    with pytest.raises(InvalidRequest, match=f"not in {coding}"):
        unpack(spoil(pack(BODY * 5)), [coding], 100_000)


@pytest.mark.parametrize(
    ("header", "found"),
    [("", ()), ("identity", ()), ("GZIP , br", ("gzip", "br")), ("x-gzip", ("gzip",)), (",", ())],
)
def test_headers(header: str, found: tuple[str, ...]) -> None:
    """The names of encodings are read by the rules of HTTP."""
    assert codings(header) == found


@pytest.mark.parametrize("header", ["compress", "gzip, aes128gcm", "gzip, gzip, gzip, gzip, gzip"])
def test_headers_that_are_refused(header: str) -> None:
    """Unknown encodings are named, and too many of them are refused."""
    with pytest.raises(UnsupportedMediaType, match="content-encoding"):
        codings(header)


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("route", ROUTES)
async def test_on_routes(name: str, route: str, served: Served) -> None:
    """Every route that reads a body accepts compressed ones."""
    coding, pack = PACK[name]
    headers = {"content-encoding": coding, "content-type": "application/json"}
    response = await served.http.post(route, content=pack(BODY), headers=headers)
    assert response.status_code == 200, response.text


async def test_refusals_on_routes(serve: Serve) -> None:
    """Each refusal has its status, and says what to do."""
    served = await serve(server={"max_body_bytes": 10_000})
    for coding, body, status, told in (
        ("snappy", BODY, 415, "gzip, deflate, br, zstd"),
        ("gzip", BODY, 400, "not in gzip"),
        ("gzip", gzip.compress(b" " * 1_000_000), 413, "max_body_bytes"),
    ):
        headers = {"content-encoding": coding, "content-type": "application/json"}
        response = await served.http.post(ROUTES[0], content=body, headers=headers)
        assert response.status_code == status
        assert told in response.json()["error"]["message"]
