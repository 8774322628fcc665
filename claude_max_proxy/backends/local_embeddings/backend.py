"""The backend for local embeddings: a queue, a model in memory while it is used, a thread that computes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, TypeVar

from claude_max_proxy import Backend, Check, Events, Finding, InvalidRequest, Request
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.local_embeddings import request_body
from claude_max_proxy.backends.local_embeddings.folder import look
from claude_max_proxy.backends.local_embeddings.memory import give_back
from claude_max_proxy.backends.local_embeddings.model import INSTALL, EmbeddingModel, Piece, batches
from claude_max_proxy.backends.local_embeddings.request_body import EmbeddingsRequest
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.backends.local_embeddings.vectors import of_texts, refuse_dimensions
from claude_max_proxy.errors import BackendUnavailable, Busy, ProxyError, UpstreamTimeout


T = TypeVar("T")
_LIBRARIES = ("onnxruntime", "tokenizers")
_LOOK_EVERY = 2.0  # seconds


class LocalEmbeddings(Backend):
    """One ``[backends.<name>]`` of type ``local-embeddings``."""

    def __init__(self, name: str, settings: LocalEmbeddingsSettings) -> None:
        """Prepare; the model is loaded by the first request."""
        self.name = name
        self.settings = settings
        self.model: EmbeddingModel | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._missing = self._failed = ""  # what is not there, and why loading failed though all is there
        self._looked = 0.0
        self._used = 0.0
        self._thread = ThreadPoolExecutor(1, f"embeddings-{name}")
        self._timer: asyncio.TimerHandle | None = None

    def take_over(self, before: Backend) -> None:
        """Keep the loaded model of the previous configuration if nothing about it has changed."""
        if isinstance(before, LocalEmbeddings) and before.settings == self.settings:
            self.model, self._used = before.model, time.monotonic()

    async def start(self) -> None:
        """Look at the folder, on the thread; a model that was taken over leaves when nobody uses it."""
        self._thread.submit(self._look)
        if self.model is not None:
            self._forget_later()

    async def stop(self) -> None:
        """Forget the model. A batch that is being computed ends by itself, and nobody waits for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.model = None

    async def answer(self, request: Request, _: str) -> Events:
        """Refuse: this model does not talk."""
        raise InvalidRequest(
            f"the model {request.model!r} leads to [backends.{self.name}], which only gives embeddings, at "
            "/v1/embeddings",
            param="model",
        )
        yield  # a function without it would not be an iterator

    def describe(self, model: str) -> ModelInfo:
        """Return how many tokens the model reads at once, if that is known without reading its files."""
        known = self.model.folder.max_tokens if self.model is not None else self.settings.max_tokens
        return ModelInfo(model, context_window=known, input_modalities=("text",))

    def health(self) -> dict[str, Any]:
        """Return what was wrong when the model's folder was last looked at, and whether it is in memory.

        While something is wrong, this also lets the thread look again, at most every few seconds.
        """
        if problem := self._missing or self._failed:
            if time.monotonic() - self._looked > _LOOK_EVERY:
                self._thread.submit(self._look)
            return {"status": "unavailable", "problem": problem}
        return {"status": "ok", "loaded": self.model is not None, "waiting": self._waiting}

    def check(self) -> Check:
        """Return the check that the model gives an embedding."""
        return Check(f"{self.name}: model", self._try, self.settings.timeout + 5)

    async def embed(self, body: bytes, model: str) -> bytes:
        """Return the embeddings of the body's texts. Raises a :class:`ProxyError`."""
        asked = request_body.read(body)
        texts = asked.texts
        if not texts:
            raise InvalidRequest.at("input", "must not be empty")
        if self._waiting > self.settings.queue_size:
            raise Busy(f"[backends.{self.name}] is computing, and {self._waiting - 1} requests wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self.settings.timeout), self._turn:
                return await self._embed(asked, texts, model)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"the embeddings took longer than {self.settings.timeout:g} s, the timeout of "
                f"[backends.{self.name}]; ask for fewer texts at a time"
            ) from error
        finally:
            self._waiting -= 1

    async def _embed(self, asked: EmbeddingsRequest, texts: list[str], model: str) -> bytes:
        loaded = await self._loaded()
        refuse_dimensions(asked.dimensions, loaded.dimensions)
        pieces: list[Piece] = await self._aside(lambda: loaded.pieces(texts))
        tokens = sum(len(piece.ids) for piece in pieces)
        self._refuse(pieces, tokens)
        found: dict[int, Any] = {}
        for numbers in batches(pieces, self.settings.batch_size):
            # One batch at a time, so that nothing is computed for a client that has left.
            vectors = await self._aside(partial(loaded.vectors, [pieces[number] for number in numbers]))
            refuse_dimensions(asked.dimensions, vectors.shape[1])
            found.update(zip(numbers, vectors, strict=True))

        def written() -> bytes:
            import numpy as np

            rows = np.stack([found[number] for number in range(len(pieces))])
            vectors = of_texts(pieces, rows, asked.dimensions, normalize=self.settings.normalize)
            return request_body.write(asked, model, vectors, tokens)

        body = await self._aside(written)
        if len(pieces) > self.settings.batch_size:
            self._thread.submit(give_back)
        return body

    def _refuse(self, pieces: list[Piece], tokens: int) -> None:
        """Refuse what is too long, or nothing at all. Raises :class:`InvalidRequest`."""
        most = self.settings.max_request_tokens
        if tokens > most:
            raise InvalidRequest.at("input", f"has {tokens:,} tokens; {most:,} are allowed in one request")
        if empty := next((piece for piece in pieces if not piece.ids), None):
            raise InvalidRequest.at(f"input[{empty.text}]", "has no token that the model knows")
        if self.settings.long_texts == "refuse" and (long := next(_long(pieces), None)):
            raise InvalidRequest.at(
                f"input[{long.text}]",
                "is longer than the model reads at once",
                code="context_length_exceeded",
            )

    async def _loaded(self) -> EmbeddingModel:
        if self.model is None:
            self.model = await self._aside(self._load)
            self._used = time.monotonic()
            self._forget_later()
        self._used = time.monotonic()
        return self.model

    def _load(self) -> EmbeddingModel:
        self._look()
        try:
            loaded = EmbeddingModel(self.settings)
        except BackendUnavailable as error:
            self._failed = "" if self._missing else str(error)
            raise
        self._failed = ""
        return loaded

    def _forget_later(self) -> None:
        """Let go of the model when nobody has used it for a while."""
        left = self._used + self.settings.idle_timeout - time.monotonic()
        if left <= 0 and not self._waiting:
            self.model = None
            self._thread.submit(give_back)
            return
        left = left if left > 0 else self.settings.idle_timeout
        self._timer = asyncio.get_running_loop().call_later(left, self._forget_later)

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _look(self) -> None:
        """Find out whether the libraries and the model's files are there; this is for the thread."""
        self._looked = time.monotonic()
        self._missing = _what_is_missing(self.settings)

    async def _try(self) -> Finding:
        try:
            await self.embed(b'{"input": "Hello"}', self.name)
        except ProxyError as error:
            return Finding("fail", str(error), f"see [backends.{self.name}]")
        return Finding("ok", f"{self.settings.path} gives embeddings")


def _long(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Yield the pieces that go on with the text of the piece before."""
    return (piece for before, piece in pairwise(pieces) if before.text == piece.text)


def _what_is_missing(settings: LocalEmbeddingsSettings) -> str:
    """Return which library or file is not there, in words; empty if all are."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed; run: {INSTALL}"
    try:
        look(settings)
    except BackendUnavailable as error:
        return str(error)
    return ""
