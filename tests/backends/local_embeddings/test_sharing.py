"""Many clients at once, clients that leave, a model that leaves the memory, and a reload."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from claude_max_proxy.backends.local_embeddings.backend import LocalEmbeddings
from claude_max_proxy.backends.local_embeddings.model import EmbeddingModel, Piece
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.errors import Busy, UpstreamTimeout
from tests.end_to_end.running import until


BODY = msgspec.json.encode({"input": ["the cat", "a mat", "it rained"]})


async def test_many_at_once(backend: LocalEmbeddings) -> None:
    """Clients that ask together get what each gets alone, and the model is loaded once."""
    alone = await backend.embed(BODY, "small")
    assert await asyncio.gather(*(backend.embed(BODY, "small") for _ in range(20))) == [alone] * 20
    assert backend.health()["waiting"] == 0


async def test_a_full_queue(folder: Path) -> None:
    """One request is computed, as many as the queue has room for wait, and the next is told to come later."""
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), queue_size=1))
    try:
        results = await asyncio.gather(
            *(backend.embed(BODY, "small") for _ in range(3)), return_exceptions=True
        )
    finally:
        await backend.stop()
    assert [isinstance(result, Busy) for result in results] == [False, False, True]


async def test_a_client_that_leaves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the client is gone, no further batch is computed, and the next client is served."""
    computed: list[int] = []
    vectors = EmbeddingModel.vectors
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def counted(self: EmbeddingModel, pieces: list[Piece]) -> object:
        computed.append(len(pieces))
        loop.call_soon_threadsafe(entered.set)
        return vectors(self, pieces)

    monkeypatch.setattr(EmbeddingModel, "vectors", counted)
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), batch_size=1))
    try:
        body = msgspec.json.encode({"input": ["the cat"] * 2000})
        asking = loop.create_task(backend.embed(body, "small"))
        async with asyncio.timeout(10):
            await entered.wait()
        asking.cancel()
        await asyncio.wait([asking])
        before = len(computed)
        assert before < 2000
        assert await backend.embed(BODY, "small")
        assert len(computed) <= before + 1 + 3
        assert backend.health()["waiting"] == 0
    finally:
        await backend.stop()


async def test_a_timeout(folder: Path) -> None:
    """A request that takes too long gets an error that names the setting."""
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), timeout=1e-6))
    try:
        with pytest.raises(UpstreamTimeout, match=r"the timeout of \[backends.local\]"):
            await backend.embed(BODY, "small")
    finally:
        await backend.stop()


async def test_it_leaves_the_memory(folder: Path) -> None:
    """A model that nobody uses leaves the memory, and comes back with the next request."""
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), idle_timeout=0.05))
    try:
        first = await backend.embed(BODY, "small")
        assert await until(lambda: not backend.health()["loaded"])
        assert await backend.embed(BODY, "small") == first
        assert backend.health()["loaded"]
    finally:
        await backend.stop()


@pytest.mark.parametrize("same", [True, False], ids=["same settings", "other settings"])
async def test_a_reload(folder: Path, same: bool) -> None:
    """A new configuration keeps the loaded model, unless something about it has changed."""
    before = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder)))
    after = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), threads=1 if same else 2))
    try:
        await before.embed(BODY, "small")
        after.take_over(before)
        await after.start()
        assert after.health()["loaded"] is same
        await before.stop()
        assert await after.embed(BODY, "small")
    finally:
        await after.stop()
