"""A provider's embeddings: passed on unchanged, if they are embeddings."""

from __future__ import annotations

import pytest

from claude_max_proxy.backends.openai_api.backend import OpenAIApi
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.errors import UpstreamFailed
from tests.raw_server import RawServer, whole


BODY = b'{"model": "m", "input": "x"}'
GOOD = b'{"object": "list", "data": [{"index": 0, "embedding": [0.5, 1e-7], "own": {"a": []}}], "more": 1}'
NONE = {
    "nothing": whole(b"", "204 No Content"),
    "a page": whole(b"<html>login</html>", "200 OK", "Content-Type: text/html"),
    "a list": whole(b"[]"),
    "a number": whole(b"5"),
    "an empty object": whole(b"{}"),
    "data that is none": whole(b'{"data": 5}'),
    "cut short": whole(GOOD[:-9]),
    "deep": whole(b'{"data": ' * 5000),
    "a stream": whole(b'data: {"data": []}\n\n', "200 OK", "Content-Type: text/event-stream"),
}


async def _embedded(answer: bytes) -> bytes:
    async with RawServer([answer]) as server:
        backend = OpenAIApi("my", OpenAIApiSettings(base_url=server.url, retries=0))
        await backend.start()
        try:
            return await backend.embed(BODY, "m")
        finally:
            await backend.stop()


@pytest.mark.parametrize("answer", NONE.values(), ids=NONE)
async def test_no_embeddings(answer: bytes) -> None:
    """An answer that is no list of embeddings is the provider's failure, and is not passed on."""
    with pytest.raises(UpstreamFailed):
        await _embedded(answer)


async def test_embeddings() -> None:
    """A list of embeddings is passed on byte for byte, with whatever else it contains."""
    assert await _embedded(whole(GOOD)) == GOOD
