"""The routes that belong to no dialect: the list of models, and health."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response
from litestar.handlers import get
from msgspec import UNSET, UnsetType

from claude_max_proxy import __version__
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.errors import NotFound
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.keys import Keys


# The API wants the time at which a model was created, which we do not know. This is when the oldest of the
# model names was introduced.
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
    """The state of the proxy and of its backends.

    A client that is on another machine and has no key only gets the status.
    """

    status: Literal["ok", "starting", "degraded", "unavailable"]
    backends: dict[str, Any] | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    replica: str | UnsetType = UNSET
    config_problem: str | UnsetType = UNSET
    plugin_problems: dict[str, str] | UnsetType = UNSET
    plugin_failures: dict[str, int] | UnsetType = UNSET
    task_problems: dict[str, str] | UnsetType = UNSET
    connection_problem: str | UnsetType = UNSET
    shared: dict[str, Any] | UnsetType = UNSET


def model_routes(runtime: Runtime, keys: Keys) -> list[Any]:
    """Return the routes ``GET /v1/models`` and ``GET /v1/models/{id}``; an id may contain slashes."""

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
            raise NotFound(
                f"the model {shown(name)} does not exist here", param="model", code="model_not_found"
            )
        return model_row(name, info)

    return [models, model]


class Probe(msgspec.Struct):
    """The answer to a load balancer."""

    status: Literal["ok", "starting", "degraded", "unavailable", "stopping"]


def probe_routes(runtime: Runtime) -> list[Any]:
    """Return the routes for load balancers and for what restarts programs.

    ``GET /health/live`` answers as long as the proxy answers at all. ``GET /health/ready`` is a 503 if a
    request should go elsewhere: while the proxy is stopping, while the backends start, or if none can answer.
    """
    opt = {"answer": Probe, "access": "open"}

    @get("/health/live", name="live", opt={**opt, "summary": "Whether the proxy runs"})
    async def live() -> Probe:
        return Probe("ok")

    summary = "Whether the proxy can take requests"

    @get("/health/ready", name="ready", opt={**opt, "summary": summary, "unavailable": True})
    async def ready() -> Response[Probe]:
        status: Any = "stopping" if runtime.stopping else _readiness(runtime)
        return Response(Probe(status), status_code=200 if status in {"ok", "degraded"} else 503)

    return [live, ready]


def _readiness(runtime: Runtime) -> Any:
    """Return "starting" if no backend can answer yet but one may soon, otherwise the status of the proxy."""
    statuses = {str(backend.health().get("status", "ok")) for backend in runtime.backends.values()}
    if statuses & {"ok", "degraded"}:
        return runtime.health()["status"]
    return "starting" if "starting" in statuses else "unavailable"


def health_routes(runtime: Runtime) -> list[Any]:
    """Return the route ``GET /health``; its status is 503 if all backends are unavailable, otherwise 200."""
    opt = {"summary": "How the proxy is doing", "answer": Health, "access": "open", "unavailable": True}

    @get(["/health", "/v1/health"], name="health", opt=opt)
    async def health(request: Request[Any, Any, Any]) -> Response[Health]:
        facts = runtime.health()
        descriptors = request.scope["state"].get("descriptors")
        if descriptors is not None and descriptors.problem:
            facts["connection_problem"] = descriptors.problem
            facts["status"] = "degraded" if facts["status"] == "ok" else facts["status"]
        body = Health(facts["status"])
        if request.scope["state"]["confided"]:
            replica = runtime.config.server.replica or UNSET
            body = Health(provider="claude-max-proxy", version=__version__, replica=replica, **facts)
        return Response(body, status_code=503 if body.status == "unavailable" else 200)

    return [health]


def model_row(name: str, info: ModelInfo) -> ModelRow:
    """Return a model in OpenAI's form, with further fields for what else is known about it."""
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
