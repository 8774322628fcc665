"""The embeddings route: a body is checked, its model mapped, and passed on to a backend that can."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import post

from claude_max_proxy import wire
from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Request
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.arrival import Arrival, Incoming


class EmbeddingsRequest(msgspec.Struct):
    """What must stand in a body: text, or tokens, or several of either; everything else is the upstream's."""

    model: str
    input: str | list[Any]


_decoder = msgspec.json.Decoder(EmbeddingsRequest)


def embeddings_route(runtime: Runtime, arrival: Arrival) -> Any:
    """``POST /v1/embeddings``, with and without ``/v1``."""
    opt = {"summary": "Embeddings, passed on to a backend that gives them", "body": EmbeddingsRequest}

    receive = arrival.reader(_read)

    @post(["/v1/embeddings", "/embeddings"], name="embeddings", status_code=200, opt=opt)
    async def embeddings(request: Incoming) -> Response[bytes]:
        asked, body = await receive(request)
        answer = await runtime.gateway.embed(asked, body)
        return Response(answer, media_type="application/json")

    return embeddings


def _read(body: bytes) -> Request:
    asked = wire.decode(_decoder, body)
    for name in ("model", "input"):
        if not getattr(asked, name):
            raise InvalidRequest(f"{name}: must not be empty", param=name)
    return Request(asked.model)
