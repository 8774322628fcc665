"""OpenAI's embeddings API: what a body asks for, and the body of the answer."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from claude_max_proxy import InvalidRequest, formats


MOST_TEXTS = 2048  # OpenAI's own limit


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """The fields that change an answer. ``user`` and unknown ones do not."""

    input: str | list[Any]
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        """The texts to embed. Raises :class:`InvalidRequest` for what is none, with its path."""
        if isinstance(self.input, str):
            return [_checked("input", self.input)]

        if len(self.input) > MOST_TEXTS:
            raise InvalidRequest.at("input", f"has {len(self.input):,} texts; {MOST_TEXTS:,} are allowed")
        if self.input and all(isinstance(token, int) for token in self.input):
            raise _tokens("input")
        return [_checked(f"input[{number}]", text) for number, text in enumerate(self.input)]


_decoder = msgspec.json.Decoder(EmbeddingsRequest)


def read(body: bytes) -> EmbeddingsRequest:
    """Read the body of a request. Raises :class:`InvalidRequest`."""
    return formats.decode(_decoder, body)


def write(asked: EmbeddingsRequest, model: str, vectors: Iterable[Any], tokens: int) -> bytes:
    """Return the body of the answer, for one vector (an array of float32) per text."""
    base64_asked = asked.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if base64_asked
            else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _checked(path: str, text: Any) -> str:
    if isinstance(text, list):
        raise _tokens(path)
    if not isinstance(text, str):
        raise InvalidRequest.at(path, "must be a text")
    if not text:
        raise InvalidRequest.at(path, "must not be empty")
    return text


def _tokens(path: str) -> InvalidRequest:
    return InvalidRequest.at(
        path,
        "must be texts: the numbers of tokens belong to the vocabulary of another model; LangChain sends "
        "texts with check_embedding_ctx_length=False",
        code="unsupported_parameter",
    )
