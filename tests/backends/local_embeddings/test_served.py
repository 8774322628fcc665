"""Local embeddings as a client of the proxy sees them, with OpenAI's own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI, BadRequestError

from tests.server.live_proxy import LiveProxy


OBSERVER = """
from claude_max_proxy import hookimpl

seen = []


@hookimpl
def log_request(record):
    seen.append(record)
"""


def toml(folder: Path) -> str:
    """Return the configuration that a user would write."""
    return f"""
[backends.small]
type = "local-embeddings"
folder = "{folder}"

[models]
"text-embedding-3-small" = "small/random"
"""


async def test_openai_python(folder: Path, tmp_path: Path) -> None:
    """The library gets vectors in both formats, errors by their places, and the tokens are recorded."""
    async with LiveProxy(tmp_path, toml(folder), observer=OBSERVER).serving() as proxy:
        http: Any = proxy.http  # of httpx, of which the library's own client is a copy
        client = AsyncOpenAI(base_url="http://127.0.0.1/v1", api_key="unused", http_client=http)
        whole = await client.embeddings.create(model="text-embedding-3-small", input=["the cat", "a mat"])
        plain = await client.embeddings.create(
            model="text-embedding-3-small", input=["the cat", "a mat"], encoding_format="float", dimensions=4
        )
        assert whole.usage.total_tokens == plain.usage.prompt_tokens == 8
        for long, short in zip(whole.data, plain.data, strict=True):
            assert len(long.embedding) == 16
            cut = np.array(long.embedding[:4])
            assert short.embedding == pytest.approx(cut / np.linalg.norm(cut), abs=1e-6)

        with pytest.raises(BadRequestError) as refused:
            await client.embeddings.create(model="text-embedding-3-small", input=["the cat", ""])
        assert refused.value.param == "input[1]"
        with pytest.raises(BadRequestError, match="only gives embeddings"):
            await client.chat.completions.create(
                model="text-embedding-3-small", messages=[{"role": "user", "content": "hi"}]
            )
        observer = next(plugin.module for plugin in proxy.live.runtime.plugins if plugin.name == "observer")
        assert [(record.status, record.dialect) for record in observer.seen] == [
            (200, "openai-embeddings"),
            (200, "openai-embeddings"),
            (400, "openai-embeddings"),
            (400, "openai-chat"),
        ]
        assert observer.seen[0].usage.input_tokens == 8
        health = (await proxy.http.get("/health")).json()
        assert health["backends"]["small"] == {"status": "ok", "loaded": True, "waiting": 0}
