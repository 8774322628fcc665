"""The settings of ``[backends.<name>]`` with ``type = "local-embeddings"``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from claude_max_proxy import Settings


Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class LocalEmbeddingsSettings(Settings, frozen=True):
    """One embedding model, in a folder of this machine."""

    folder: Annotated[
        str,
        Meta(
            description="The model's folder, a full path or one that begins with `~`. It contains "
            "`tokenizer.json`, and `model.onnx` or `onnx/model.onnx`, as Hugging Face offers them."
        ),
    ]
    file: Annotated[
        str,
        Meta(
            description='The model\'s file in the folder, as in `"onnx/model_quantized.onnx"`. Empty: it is '
            "looked for."
        ),
    ] = ""
    pooling: Annotated[
        Literal["auto", "mean", "cls", "last_token"],
        Meta(
            description="How the vectors of a text's tokens become one: their mean, the first, or the last. "
            "`auto` is what `1_Pooling/config.json` in the folder says, or else the mean."
        ),
    ] = "auto"
    normalize: Annotated[bool, Meta(description="Make every vector as long as 1, as OpenAI does.")] = True
    max_tokens: Annotated[
        Count | None,
        Meta(description="How many tokens the model reads at once. Unset: what the files in the folder say."),
    ] = None
    long_texts: Annotated[
        Literal["average", "refuse"],
        Meta(
            description="What happens to a text that is longer than the model reads at once: it is embedded "
            "in pieces and gets the average of their vectors, weighted by length; or it gets a 400."
        ),
    ] = "average"
    max_request_tokens: Annotated[
        Count, Meta(description="How many tokens all texts of a request may have together.")
    ] = 300_000
    batch_size: Annotated[
        Annotated[int, Meta(ge=1, le=1024)],
        Meta(description="How many texts, or pieces of long ones, are computed together."),
    ] = 16
    threads: Annotated[Annotated[int, Meta(ge=1, le=256)], Meta(description="How many threads compute.")] = 1
    queue_size: Annotated[
        Annotated[int, Meta(ge=0)],
        Meta(description="How many requests may wait while one is computed; others get a 429."),
    ] = 64
    timeout: Annotated[
        Seconds,
        Meta(description="How many seconds a request may take with its wait; then the client gets a 504."),
    ] = 120.0
    idle_timeout: Annotated[
        Seconds,
        Meta(
            description="After how many seconds without a request the model leaves the memory, until the "
            "next request comes."
        ),
    ] = 600.0

    def __post_init__(self) -> None:
        """Refuse a relative folder: what it is relative to would depend on how the proxy was started."""
        if not self.path.is_absolute():
            raise ValueError("folder: must be a full path, or begin with ~")

    @property
    def path(self) -> Path:
        """The folder's path."""
        return Path(self.folder).expanduser()
