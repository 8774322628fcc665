"""A small embedding model with random weights, in a folder as sentence-transformers lays it out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claude_max_proxy.backends.local_embeddings.backend import LocalEmbeddings
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from tests.backends.local_embeddings.bert import Shape, random_weights, tokenizer, write_folder


LONGEST = 12  # tokens, of which two are not words


@pytest.fixture(scope="session", params=["mean", "cls"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model's folder; there is one for each way to join the tokens' vectors."""
    path = tmp_path_factory.mktemp("models") / request.param
    write_folder(path, tokenizer(), random_weights(Shape()), Shape(), pooling=request.param)
    return path


@pytest.fixture
async def backend(folder: Path) -> AsyncIterator[LocalEmbeddings]:
    """Return a started backend with that model."""
    made = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder)))
    await made.start()
    yield made
    await made.stop()
