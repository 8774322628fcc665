"""A model's folder, as Hugging Face and sentence-transformers lay it out: which files, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.errors import BackendUnavailable


Pooling = Literal["mean", "cls", "last_token"]

_MODELS = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx")
# Where sentence-transformers and transformers say how many tokens a model reads at once. They write a huge
# number for "no limit", so the smallest one counts.
_LIMITS = (
    ("sentence_bert_config.json", "max_seq_length"),
    ("tokenizer_config.json", "model_max_length"),
    ("config.json", "max_position_embeddings"),
)
_USUAL_LIMIT = 512
_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last_token",
}
# What sentence-transformers calls the steps that the model's file and this package do.
_KNOWN_STEPS = ("Transformer", "Pooling", "Normalize")


class ModelFolder(msgspec.Struct, frozen=True):
    """What is needed to load a model and to use it as it was trained."""

    model: Path
    tokenizer: Path
    max_tokens: int
    pooling: Pooling
    steps: tuple[str, ...]

    @property
    def strange_step(self) -> str:
        """A step after the model's file that this package does not know; empty if there is none."""
        return next((step for step in self.steps if step not in _KNOWN_STEPS), "")


def look(settings: LocalEmbeddingsSettings) -> ModelFolder:
    """Read what the folder says. Raises :class:`BackendUnavailable` if a file is missing or broken."""
    folder = settings.path
    return ModelFolder(
        find_model(settings),
        _existing(folder / "tokenizer.json"),
        settings.max_tokens or _limit(folder),
        _pooling(folder) if settings.pooling == "auto" else settings.pooling,
        tuple(str(module.get("type", "")).rpartition(".")[2] for module in _modules(folder)),
    )


def find_model(settings: LocalEmbeddingsSettings) -> Path:
    """Return the model's file. Raises :class:`BackendUnavailable` if there is none."""
    folder = settings.path
    if settings.file:
        return _existing(folder / settings.file)
    found = next((folder / name for name in _MODELS if (folder / name).is_file()), None)
    if found is None:
        raise BackendUnavailable(
            f"there is no model.onnx in the folder {folder}, and none in its folder onnx"
        )
    return found


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise BackendUnavailable(f"the embedding model's file {file} does not exist")
    return file


def _limit(folder: Path) -> int:
    limits = [_object(folder / name).get(field) for name, field in _LIMITS]
    return min(
        [int(limit) for limit in limits if isinstance(limit, int | float) and limit >= 1],
        default=_USUAL_LIMIT,
    )


def _pooling(folder: Path) -> Pooling:
    said = _object(folder / "1_Pooling" / "config.json")
    on = [name for name, value in said.items() if name.startswith("pooling_mode_") and value is True]
    if not on:
        return "mean"
    if len(on) > 1 or on[0] not in _POOLINGS:
        raise BackendUnavailable(
            f"the embedding model in {folder} joins its vectors by {' and '.join(on)}; known are "
            f"{', '.join(_POOLINGS)}"
        )
    return _POOLINGS[on[0]]


def _modules(folder: Path) -> list[dict[str, Any]]:
    modules = _json(folder / "modules.json", [])
    return [module for module in modules if isinstance(module, dict)] if isinstance(modules, list) else []


def _object(file: Path) -> dict[str, Any]:
    value = _json(file, {})
    return value if isinstance(value, dict) else {}


def _json(file: Path, otherwise: Any) -> Any:
    if not file.exists():
        return otherwise
    try:
        return msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise BackendUnavailable(f"the embedding model's file {file} cannot be read: {error}") from error
