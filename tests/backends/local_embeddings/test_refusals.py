"""What is refused, whose fault it is, and what is said about a model that cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from claude_max_proxy import ProxyError, Request
from claude_max_proxy.backends.local_embeddings.backend import LocalEmbeddings
from claude_max_proxy.backends.local_embeddings.model import EmbeddingModel, Piece
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.errors import BackendUnavailable, InvalidRequest
from tests.backends.local_embeddings.conftest import LONGEST
from tests.end_to_end.running import until


BAD: dict[str, tuple[Any, str]] = {
    "no text": ("", "input"),
    "no texts": ([], "input"),
    "an empty text": (["a", ""], "input[1]"),
    "a number": (["a", 5], "input"),
    "nothing": (None, "input"),
    "an object": ([{"text": "a"}], "input[0]"),
    "tokens": ([3, 4, 5], "input"),
    "lists of tokens": ([[3, 4], [5]], "input[0]"),
    "too many": (["a"] * 2049, "input"),
}


async def refusal(backend: LocalEmbeddings, **fields: Any) -> ProxyError:
    """Ask for embeddings and return the error."""
    with pytest.raises(ProxyError) as caught:
        await backend.embed(msgspec.json.encode(fields), "small")
    return caught.value


@pytest.mark.parametrize(("given", "path"), BAD.values(), ids=BAD)
async def test_what_is_no_text(backend: LocalEmbeddings, given: Any, path: str) -> None:
    """What is no text is the client's fault, and the error names its place."""
    error = await refusal(backend, input=given)
    assert isinstance(error, InvalidRequest)
    assert (error.param or "").startswith(path)


async def test_tokens_are_another_models(backend: LocalEmbeddings) -> None:
    """Numbers of tokens mean other words in this vocabulary: the error says how to send texts."""
    error = await refusal(backend, input=[[9906, 1917]])
    assert "check_embedding_ctx_length=False" in str(error)


@pytest.mark.parametrize(
    "field", [{"dimensions": 17}, {"dimensions": 0}, {"encoding_format": "hex"}], ids=str
)
async def test_other_fields(backend: LocalEmbeddings, field: dict[str, Any]) -> None:
    """Other fields that cannot be honoured are refused by name."""
    error = await refusal(backend, input="the cat", **field)
    assert isinstance(error, InvalidRequest)
    assert error.param == next(iter(field))


class Counting(EmbeddingModel):
    """A model that counts the texts that it computes."""

    computed = 0

    def vectors(self, pieces: Sequence[Piece]) -> NDArray[np.float32]:
        """Count and compute."""
        self.computed += len(pieces)
        return super().vectors(pieces)


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_too_many_dimensions_cost_nothing(folder: Path, *, known: bool) -> None:
    """More dimensions than there are cost no work; if the model's file leaves them open, one batch."""
    settings = LocalEmbeddingsSettings(str(folder), batch_size=2)
    backend = LocalEmbeddings("local", settings)
    model = backend.model = Counting(settings)
    if not known:
        model.dimensions = None
    try:
        error = await refusal(backend, input=["the cat"] * 6, dimensions=17)
        assert (error.param, "have 16" in str(error)) == ("dimensions", True)
        assert model.computed == (0 if known else 2)
    finally:
        await backend.stop()


async def test_limits(folder: Path) -> None:
    """A request with too many tokens, and if so configured a text that is too long, is refused."""
    settings = LocalEmbeddingsSettings(str(folder), max_request_tokens=20, long_texts="refuse")
    backend = LocalEmbeddings("local", settings)
    try:
        error = await refusal(backend, input=["the cat"] * 6)
        assert error.param == "input"
        assert "24 tokens; 20" in str(error)
        error = await refusal(backend, input=["a", "cat " * (LONGEST - 1)])
        assert (error.param, error.code) == ("input[1]", "context_length_exceeded")
        await backend.embed(msgspec.json.encode({"input": ["a", "cat " * (LONGEST - 2)]}), "small")
    finally:
        await backend.stop()


async def test_it_does_not_talk(backend: LocalEmbeddings) -> None:
    """A request for an answer is refused, with the route for embeddings."""
    with pytest.raises(InvalidRequest, match="/v1/embeddings"):
        async for _ in backend.answer(Request("m"), "small"):
            pass


def spoil_everything(folder: Path) -> None:
    """Remove everything."""
    shutil.rmtree(folder)


def spoil_tokenizer(folder: Path) -> None:
    """Take the tokenizer away."""
    (folder / "tokenizer.json").unlink()


def spoil_model(folder: Path) -> None:
    """Take the model away."""
    (folder / "onnx" / "model.onnx").unlink()


def spoil_pooling(folder: Path) -> None:
    """Ask for a way of joining vectors that is not known."""
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')


def spoil_json(folder: Path) -> None:
    """Break a file that says how the model is used."""
    (folder / "config.json").write_text("{")


MISSING = {
    "folder": (spoil_everything, "no model.onnx"),
    "tokenizer": (spoil_tokenizer, "tokenizer.json does not exist"),
    "model": (spoil_model, "no model.onnx"),
    "pooling": (spoil_pooling, "pooling_mode_max_tokens"),
    "JSON": (spoil_json, "config.json cannot be read"),
}


@pytest.mark.parametrize(("spoil", "words"), MISSING.values(), ids=MISSING)
async def test_a_model_that_is_not_there(folder: Path, tmp_path: Path, spoil: Any, words: str) -> None:
    """What is wrong with the folder is said by each request and in ``/health``; later all is well."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    spoil(copy)
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(copy)))
    try:
        error = await refusal(backend, input="the cat")
        assert isinstance(error, BackendUnavailable)
        assert words in str(error)
        assert words in backend.health()["problem"]
        assert backend.health()["status"] == "unavailable"
        assert (await backend.check().run()).status == "fail"

        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        assert (await backend.check().run()).status == "ok"
        assert backend.health() == {"status": "ok", "loaded": True, "waiting": 0}
    finally:
        await backend.stop()


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json"])
async def test_a_broken_file(folder: Path, tmp_path: Path, name: str) -> None:
    """A file that is not what its name says is an error that names the folder."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(copy)))
    try:
        error = await refusal(backend, input="the cat")
        assert isinstance(error, BackendUnavailable)
        assert "cannot be loaded" in str(error)
    finally:
        await backend.stop()


async def test_health_finds_what_came_later(folder: Path, tmp_path: Path) -> None:
    """A folder that is missing at the start is reported, and later found, without a request."""
    copy = tmp_path / "model"
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(copy)))
    await backend.start()
    try:
        assert await until(lambda: backend.health()["status"] == "unavailable")
        shutil.copytree(folder, copy)
        assert await until(lambda: backend.health()["status"] == "ok", 10)
    finally:
        await backend.stop()


async def test_a_further_step(folder: Path, tmp_path: Path) -> None:
    """A model that goes on after the pooling is refused: its vectors would be wrong."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
    backend = LocalEmbeddings("local", LocalEmbeddingsSettings(str(copy)))
    try:
        assert "Dense" in str(await refusal(backend, input="the cat"))
    finally:
        await backend.stop()


def test_a_relative_folder() -> None:
    """A relative folder is refused when the configuration is read."""
    with pytest.raises(ValueError, match="full path"):
        LocalEmbeddingsSettings("models/small")
