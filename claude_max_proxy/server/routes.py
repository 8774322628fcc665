"""The routes that belong to no dialect: the models on offer, and health."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response
from litestar.handlers import get
from msgspec import UNSET, UnsetType

from claude_max_proxy import __version__
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.errors import NotFound
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.keys import Keys


# When the oldest of the model names began; the API wants a time, and ours do not have one.
_CREATED = 1_747_872_000


class ModelRow(msgspec.Struct):
    """A model on offer."""

    id: str
    owned_by: str
    upstream_model: str
    object: Literal["model"] = "model"
    created: int = _CREATED
    context_window: int | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    input_modalities: tuple[str, ...] | UnsetType = UNSET
    output_modalities: tuple[str, ...] | UnsetType = UNSET
    reasoning: bool | UnsetType = UNSET
    reasoning_efforts: tuple[str, ...] | UnsetType = UNSET


class ModelList(msgspec.Struct):
    """The models on offer."""

    data: list[ModelRow]
    object: Literal["list"] = "list"


class Health(msgspec.Struct):
    """How the proxy stands: the worst of its backends."""

    status: Literal["ok", "starting", "degraded", "unavailable"]
    backends: dict[str, Any]
    provider: str = "claude-max-proxy"
    version: str = __version__
    config_problem: str | UnsetType = UNSET
    plugin_problems: dict[str, str] | UnsetType = UNSET


def model_routes(runtime: Runtime, keys: Keys) -> list[Any]:
    """``GET /v1/models`` and ``GET /v1/models/{id}``, where an id may hold slashes."""

    @get(["/v1/models", "/models"], name="models", opt={"summary": "The models", "answer": ModelList})
    async def models(request: Request[Any, Any, Any]) -> ModelList:
        key = request.scope["state"]["key"]
        rows = [model_row(name, info) for name, info in runtime.models().items() if keys.allows(key, name)]
        return ModelList(rows)

    opt = {"summary": "One model; its name may hold slashes", "answer": ModelRow}

    @get(["/v1/models/{name:path}", "/models/{name:path}"], name="model", opt=opt)
    async def model(request: Request[Any, Any, Any]) -> ModelRow:
        name = str(request.path_params["name"]).removeprefix("/")
        info = runtime.describe(name)
        if info is None or not keys.allows(request.scope["state"]["key"], name):
            raise NotFound(f"the model {name!r} does not exist here", param="model", code="model_not_found")
        return model_row(name, info)

    return [models, model]


def health_routes(runtime: Runtime) -> list[Any]:
    """``GET /health``: 200 while requests can be answered, 503 while no backend can."""
    opt = {"summary": "How it stands", "answer": Health, "open": True, "unavailable": True}

    @get(["/health", "/v1/health"], name="health", opt=opt)
    async def health() -> Response[Health]:
        body = Health(**runtime.health())
        return Response(body, status_code=503 if body.status == "unavailable" else 200)

    return [health]


def model_row(name: str, info: ModelInfo) -> ModelRow:
    """Write one model as OpenAI does, with what is known beyond."""
    return ModelRow(
        name,
        info.owner,
        info.name,
        context_window=info.context_window or UNSET,
        max_output_tokens=info.max_output_tokens or UNSET,
        input_modalities=info.input_modalities or UNSET,
        output_modalities=("text",) if info.input_modalities else UNSET,
        reasoning=UNSET if info.reasoning is None else info.reasoning,
        reasoning_efforts=info.efforts or UNSET,
    )
