"""The route for embeddings: checks the body, maps the model, and passes the body on to a backend."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.handlers import post
from litestar.response import Response

from claude_max_proxy import formats
from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Request
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.arrival import Arrival, Incoming
from claude_max_proxy.server.paths import EMBEDDINGS_PATHS
from claude_max_proxy.server.request_headers import Headers
from claude_max_proxy.server.running import Running
from claude_max_proxy.server.short_answers import ShortAnswer


class EmbeddingsRequest(msgspec.Struct):
    """What a body must contain: the model, and texts or tokens. The upstream checks the rest."""

    model: formats.ModelName
    input: str | list[Any]


_decoder = msgspec.json.Decoder(EmbeddingsRequest)


def embeddings_route(runtime: Runtime, arrival: Arrival, running: Running) -> Any:
    """Return the route ``POST /v1/embeddings``, which also exists without ``/v1``."""
    opt = {"summary": "Embeddings, from a backend that has them", "body": EmbeddingsRequest}

    @post(list(EMBEDDINGS_PATHS), name="embeddings", status_code=200, opt=opt)
    async def embeddings(request: Incoming) -> Response[None]:
        asked, body = await arrival.request(request, _read)

        async def work() -> tuple[bytes, Headers]:
            return await runtime.gateway.embed(asked, body), []

        return running.sent(ShortAnswer(asked, work), request.scope["state"]["identity"])

    return embeddings


def _read(body: bytes) -> Request:
    asked = formats.decode(_decoder, body)
    if not asked.input:
        raise InvalidRequest.at("input", "must not be empty")
    return Request(asked.model)
