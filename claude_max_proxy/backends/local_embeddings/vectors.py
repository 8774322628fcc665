"""From the vectors of pieces to those of texts: averages, fewer dimensions, and length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from claude_max_proxy import InvalidRequest
from claude_max_proxy.backends.local_embeddings.model import Piece


if TYPE_CHECKING:
    from claude_max_proxy.backends.local_embeddings.model import Vectors


def refuse_dimensions(asked: int | None, there: int | None) -> None:
    """Raise :class:`InvalidRequest` if more dimensions are asked for than the model's vectors have.

    ``there`` is None for as long as nobody knows how many that are.
    """
    if asked is not None and there is not None and asked > there:
        raise InvalidRequest.at("dimensions", f"this model's vectors have {there}")


def of_texts(
    pieces: Sequence[Piece], vectors: Vectors, dimensions: int | None, *, normalize: bool
) -> Vectors:
    """Return one vector for each text, in the order of the texts.

    A text of several pieces gets the average of theirs, weighted by their numbers of tokens, as OpenAI
    advises for texts that are too long.
    """
    import numpy as np

    if normalize:
        vectors = _unit(vectors)
    owners = np.array([piece.text for piece in pieces])
    weights = np.array([len(piece.ids) for piece in pieces], np.float32)
    sums = np.zeros((owners[-1] + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, owners, vectors * weights[:, None])
    texts: Vectors = (sums / np.bincount(owners, weights)[:, None]).astype(np.float32)
    if dimensions is not None:
        texts = texts[:, :dimensions]
    return _unit(texts) if normalize else texts


def _unit(vectors: Vectors) -> Vectors:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
