"""What the vectors are: the model's own, each text's alone, in the order of the texts, as long as 1."""

from __future__ import annotations

import base64
import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from claude_max_proxy.backends.local_embeddings.backend import LocalEmbeddings
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from tests.backends.local_embeddings.bert import WORDS
from tests.backends.local_embeddings.conftest import LONGEST


TEXTS = ["the cat", "it rained and nobody knew why", "a", "zebra unknown cat", " ", "while the cat sat"]
LONG = " ".join(itertools.islice(itertools.cycle(WORDS), 3 * LONGEST + 1))
Vectors = NDArray[Any]


async def embed(backend: LocalEmbeddings, **fields: Any) -> dict[str, Any]:
    """Ask for embeddings and return the answer."""
    body = msgspec.json.encode({"model": "m", **fields})
    answer: dict[str, Any] = msgspec.json.decode(await backend.embed(body, "small"))
    return answer


async def vectors(backend: LocalEmbeddings, **fields: Any) -> Vectors:
    """Ask for embeddings and return the vectors."""
    answer = await embed(backend, **fields)
    assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
    return np.array([one["embedding"] for one in answer["data"]])


def expected(folder: Path, text: str) -> Vectors:
    """Compute one short text's vector in the plainest way."""
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text)
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))
    feed = {"input_ids": [tokens.ids], "attention_mask": [[1] * len(tokens.ids)]}
    feed["token_type_ids"] = [[0] * len(tokens.ids)]
    states = session.run(None, {name: np.array(value, np.int64) for name, value in feed.items()})[0][0]
    vector: Vectors = states.mean(axis=0) if folder.name == "mean" else states[0]
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
async def test_each_text_has_its_own_vector(folder: Path, batch_size: int) -> None:
    """However texts are computed together, each gets what it gets alone, in the order of the request."""
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), batch_size=batch_size))
    try:
        found = await vectors(backend, input=TEXTS)
    finally:
        await backend.stop()
    for vector, text in zip(found, TEXTS, strict=True):
        assert vector == pytest.approx(expected(folder, text), abs=1e-5)
    assert len({tuple(vector.round(4)) for vector in found}) == len(TEXTS)


async def test_a_single_text(backend: LocalEmbeddings, folder: Path) -> None:
    """A text alone is embedded as a list of one would be; the model and the tokens are named."""
    answer = await embed(backend, input="the cat sat", user="somebody")
    assert answer["object"] == "list"
    assert answer["model"] == "small"
    assert answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert answer["data"][0]["object"] == "embedding"
    assert answer["data"][0]["embedding"] == pytest.approx(expected(folder, "the cat sat"), abs=1e-5)


async def test_base64(backend: LocalEmbeddings) -> None:
    """In base64, the vectors are the same numbers as 32-bit floats, little end first."""
    plain = await vectors(backend, input=TEXTS)
    answer = await embed(backend, input=TEXTS, encoding_format="base64")
    for one, vector in zip(answer["data"], plain, strict=True):
        decoded = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
        assert decoded == pytest.approx(vector, rel=1e-6)


async def test_fewer_dimensions(backend: LocalEmbeddings) -> None:
    """With ``dimensions``, the vectors are the beginnings of the whole ones, as long as 1 again."""
    whole = await vectors(backend, input=TEXTS)
    short = await vectors(backend, input=TEXTS, dimensions=5)
    assert short.shape == (len(TEXTS), 5)
    cut = whole[:, :5]
    assert short == pytest.approx(cut / np.linalg.norm(cut, axis=1, keepdims=True), abs=1e-6)
    assert await vectors(backend, input=TEXTS, dimensions=16) == pytest.approx(whole)


async def test_a_long_text_is_heard_to_its_end(backend: LocalEmbeddings, folder: Path) -> None:
    """The vector of a long text is the average of its pieces', by their lengths; all tokens are counted."""
    answer = await embed(backend, input=["a", LONG])
    words, size = LONG.split(), LONGEST - 2
    pieces = [words[begin : begin + size] for begin in range(0, len(words), size)]
    assert answer["usage"]["total_tokens"] == 3 + len(words) + 2 * len(pieces)
    average = sum(expected(folder, " ".join(piece)) * (len(piece) + 2) for piece in pieces)
    found = answer["data"][1]["embedding"]
    assert found == pytest.approx(average / np.linalg.norm(average), abs=1e-5)

    changed = [*words[:-1], "zebra"]
    assert (await vectors(backend, input=" ".join(changed)))[0] != pytest.approx(found, abs=1e-4)


async def test_without_normalizing(folder: Path) -> None:
    """With ``normalize = false``, the vectors are as the model makes them."""
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(folder), normalize=False))
    try:
        found = await vectors(backend, input=["the cat"])
    finally:
        await backend.stop()
    length = np.linalg.norm(found[0])
    assert abs(length - 1) > 0.01
    assert found[0] / length == pytest.approx(expected(folder, "the cat"), abs=1e-5)
