"""The embeddings route: a body is checked, its model mapped, and passed on to a backend that can."""

from __future__ import annotations

from typing import Any

import litestar
import msgspec
from litestar import Response
from litestar.handlers import post

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Request
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.clients import client_of
from claude_max_proxy.server.keys import Keys


class EmbeddingsRequest(msgspec.Struct):
    """What must stand in a body: text, or tokens, or several of either; everything else is the upstream's."""

    model: str
    input: str | list[Any]


_decode = msgspec.json.Decoder(EmbeddingsRequest).decode


def embeddings_route(runtime: Runtime, keys: Keys) -> Any:
    """``POST /v1/embeddings``, with and without ``/v1``."""
    opt = {"summary": "Embeddings, passed on to a backend that gives them", "body": EmbeddingsRequest}

    @post(["/v1/embeddings", "/embeddings"], name="embeddings", status_code=200, opt=opt)
    async def embeddings(request: litestar.Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        asked = Request(_check(body).model, client=client_of(request))
        keys.admit(asked.client.key, asked.model)
        answer = await runtime.gateway.embed(asked, body)
        return Response(answer, media_type="application/json")

    return embeddings


def _check(body: bytes) -> EmbeddingsRequest:
    try:
        wire = _decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        wrong = next((name for name in EmbeddingsRequest.__struct_fields__ if f"{name}`" in text), None)
        raise InvalidRequest(f"{wrong or 'the body'}: {text[0].lower()}{text[1:]}", param=wrong) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", code="invalid_json") from error
    for name in ("model", "input"):
        if not getattr(wire, name):
            raise InvalidRequest(f"{name}: must not be empty", param=name)
    return wire
