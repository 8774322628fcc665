"""Asks what the models can do: the proxy that runs, or the backends themselves."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.cli.inspecting import started
from claude_max_proxy.config import DEFAULT_MODELS, Config
from claude_max_proxy.runtime.runtime import Runtime


_HTTP_TIMEOUT = 3.0
_START_TIMEOUT = 30.0


async def models(built: Runtime, url: str, secret: str) -> dict[str, ModelInfo]:
    """Return the descriptions of the models on offer, by the names that clients use, each model once.

    ``secret`` is the API key for a running proxy; it is empty if there is none.
    """
    rows = await _served(url, secret)
    if rows is None:
        async with started(built, _START_TIMEOUT) as runtime:
            found = runtime.models()
    else:
        found = {str(row.get("id")): _info(row) for row in rows}
    return {name: info for name, info in found.items() if not _is_another_name(name, built.config)}


async def _served(url: str, secret: str) -> list[dict[str, Any]] | None:
    """Return the models of the proxy at ``url``, or ``None`` if no proxy answers there."""
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
        async with httpx.AsyncClient(timeout=_HTTP_TIMEOUT, trust_env=False) as client:
            health = (await client.get(f"{url}/health")).json()
            if health["provider"] == "claude-max-proxy":
                answer = await client.get(f"{url}/v1/models", headers=headers)
                return list(answer.raise_for_status().json()["data"])
    return None


def _info(row: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=str(row.get("upstream_model", "")),
        context_window=row.get("context_window"),
        max_output_tokens=row.get("max_output_tokens"),
        input_modalities=tuple(row.get("input_modalities", ())),
        reasoning=row.get("reasoning"),
        efforts=tuple(row.get("reasoning_efforts", ())),
    )


def _is_another_name(name: str, config: Config) -> bool:
    """Return whether a built-in name, such as ``opus``, means the same model as an earlier built-in name."""
    to = DEFAULT_MODELS.get(name)
    entry = config.models.get(name)
    if to is None or entry is None or entry.to != to:
        return False
    earlier = next(other for other, other_to in DEFAULT_MODELS.items() if other_to == to)
    return earlier != name and config.models[earlier] == entry
