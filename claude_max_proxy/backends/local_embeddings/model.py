"""An embedding model in memory: texts in, vectors out. It blocks, so it is used on a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from claude_max_proxy.backends.local_embeddings.folder import ModelFolder, look
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.errors import BackendUnavailable, UpstreamFailed


if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

INSTALL = "pip install 'claude-max-proxy[embeddings]'"
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
_ONLY_ERRORS = 3


class Piece(msgspec.Struct, frozen=True):
    """A text, or as much of a long one as the model reads at once: the numbers of its tokens."""

    text: int
    ids: Sequence[int]
    types: Sequence[int]


class EmbeddingModel:
    """One loaded model."""

    def __init__(self, settings: LocalEmbeddingsSettings) -> None:
        """Load the model, which takes up to some seconds. Raises :class:`BackendUnavailable`."""
        self.folder = look(settings)
        try:
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise BackendUnavailable(f"{error.name} is not installed; run: {INSTALL}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it keeps the memory of the largest batch for ever
        options.log_severity_level = _ONLY_ERRORS
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(self.folder.tokenizer))
            self._session = onnxruntime.InferenceSession(
                str(self.folder.model), options, providers=["CPUExecutionProvider"]
            )
        except (
            Exception
        ) as error:  # the libraries raise classes of their own, of which some are plain Exceptions
            raise BackendUnavailable(f"the model in {settings.path} cannot be loaded: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.folder.max_tokens)
        self._inputs = _inputs(self._session, self.folder)
        self._output, self._pooled = _output(self._session, self.folder)
        self.dimensions = _dimensions(self._session, self._output)

    def pieces(self, texts: Sequence[str]) -> list[Piece]:
        """Split texts into tokens, and those that are too long for the model into several pieces."""
        found = []
        for number, whole in enumerate(self._tokenizer.encode_batch(list(texts))):
            found += [Piece(number, part.ids, part.type_ids) for part in (whole, *whole.overflowing)]
        return found

    def vectors(self, pieces: Sequence[Piece]) -> Vectors:
        """Return one vector for each piece, all computed together."""
        import numpy as np

        shape = len(pieces), max(len(piece.ids) for piece in pieces)
        feed = {name: np.zeros(shape, np.int64) for name in self._inputs | {"attention_mask"}}
        for row, piece in enumerate(pieces):
            long = len(piece.ids)
            feed["attention_mask"][row, :long] = 1
            for name, values in (
                ("input_ids", piece.ids),
                ("token_type_ids", piece.types),
                ("position_ids", range(long)),
            ):
                if name in feed:
                    feed[name][row, :long] = values
        mask = feed["attention_mask"]
        try:
            output = self._session.run([self._output], {name: feed[name] for name in self._inputs})[0]
        except (
            Exception
        ) as error:  # the library raises classes of its own, of which some are plain Exceptions
            raise UpstreamFailed(f"the embedding model failed: {error}", logged="the model failed") from error
        vectors: Vectors = np.asarray(output, np.float32)
        joined = vectors if self._pooled else _joined(vectors, mask, self.folder)
        if not np.isfinite(joined).all():
            raise UpstreamFailed("the embedding model's vectors are not finite numbers")
        return joined


def _joined(vectors: Vectors, mask: NDArray[np.int64], folder: ModelFolder) -> Vectors:
    """Make one vector of those of each piece's tokens; ``mask`` says which tokens are padding."""
    import numpy as np

    if folder.pooling == "cls":
        first: Vectors = vectors[:, 0]
        return first
    if folder.pooling == "last_token":
        last: Vectors = vectors[np.arange(len(vectors)), mask.sum(axis=1) - 1]
        return last
    weights = mask[:, :, None].astype(np.float32)
    mean: Vectors = (vectors * weights).sum(axis=1) / weights.sum(axis=1)
    return mean


def _inputs(session: Any, folder: ModelFolder) -> frozenset[str]:
    names = frozenset(node.name for node in session.get_inputs())
    if strange := names - _INPUTS:
        raise BackendUnavailable(
            f"{folder.model} is not a text embedding model: it wants the inputs {', '.join(sorted(strange))}"
        )
    return names


def _output(session: Any, folder: ModelFolder) -> tuple[str, bool]:
    """Return the output to use, and whether it is one vector for each text already."""
    outputs = {node.name: len(node.shape or ()) for node in session.get_outputs()}
    if pooled := next((name for name in ("sentence_embedding", "text_embeds") if outputs.get(name) == 2), ""):
        return pooled, True
    if step := folder.strange_step:
        raise BackendUnavailable(
            f"{folder.model} gives the vectors of single tokens, and its folder names a further step, {step}"
            ", which this proxy does not know; export the model with its output sentence_embedding"
        )
    tokens = next((name for name, rank in outputs.items() if rank == 3), "")
    if not tokens:
        raise BackendUnavailable(f"{folder.model} has no output of vectors: {', '.join(outputs)}")
    return tokens, False


def _dimensions(session: Any, output: str) -> int | None:
    """Return how long the vectors are, None if the file leaves that open until something is computed."""
    shape = next(node.shape for node in session.get_outputs() if node.name == output)
    return shape[-1] if isinstance(shape[-1], int) else None


def batches(pieces: Sequence[Piece], size: int) -> Iterator[list[int]]:
    """Yield the numbers of pieces that are computed together: similar lengths, so that little is padding."""
    order = sorted(range(len(pieces)), key=lambda number: len(pieces[number].ids))
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]
