"""The routes that belong to no dialect: the models on offer, and health."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.handlers import get

from claude_max_proxy import __version__
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.errors import NotFound
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.keys import Keys


# When the oldest of the model names began; the API wants a time, and ours do not have one.
_CREATED = 1_747_872_000


def model_routes(runtime: Runtime, keys: Keys) -> list[Any]:
    """``GET /v1/models`` and ``GET /v1/models/{id}``, where an id may hold slashes."""

    @get(["/v1/models", "/models"], name="models")
    async def models(request: Request[Any, Any, Any]) -> dict[str, Any]:
        key = request.scope["state"]["key"]
        rows = [model_row(name, info) for name, info in runtime.models().items() if keys.allows(key, name)]
        return {"object": "list", "data": rows}

    @get(["/v1/models/{name:path}", "/models/{name:path}"], name="model")
    async def model(request: Request[Any, Any, Any]) -> dict[str, Any]:
        name = str(request.path_params["name"]).removeprefix("/")
        info = runtime.describe(name)
        if info is None or not keys.allows(request.scope["state"]["key"], name):
            raise NotFound(f"the model {name!r} does not exist here", param="model", code="model_not_found")
        return model_row(name, info)

    return [models, model]


def health_routes(runtime: Runtime) -> list[Any]:
    """``GET /health``: 200 while requests can be answered, 503 while no backend can."""

    @get(["/health", "/v1/health"], name="health")
    async def health() -> Response[dict[str, Any]]:
        facts = runtime.health()
        status = 503 if facts["status"] == "unavailable" else 200
        body = {
            "status": facts["status"],
            "provider": "claude-max-proxy",
            "version": __version__,
            **facts,
        }
        return Response(body, status_code=status)

    return [health]


def model_row(name: str, info: ModelInfo) -> dict[str, Any]:
    """Write one model as OpenAI does, with what is known beyond."""
    row: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": _CREATED,
        "owned_by": info.owner,
        "upstream_model": info.name,
    }
    if info.context_window:
        row["context_window"] = info.context_window
    if info.max_output_tokens:
        row["max_output_tokens"] = info.max_output_tokens
    if info.input_modalities:
        row["input_modalities"] = list(info.input_modalities)
        row["output_modalities"] = ["text"]
    if info.reasoning is not None:
        row["reasoning"] = info.reasoning
    if info.efforts:
        row["reasoning_efforts"] = list(info.efforts)
    return row
