"""The routes that count tokens, for the dialects whose API has them."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.handlers import post

from claude_max_proxy.dialect import Dialect
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.arrival import Arrival, Incoming
from claude_max_proxy.server.request_headers import Headers
from claude_max_proxy.server.running import Running
from claude_max_proxy.server.short_answers import ShortAnswer


ESTIMATED = "x-proxy-estimated"


def counting_routes(runtime: Runtime, dialect: Dialect, arrival: Arrival, running: Running) -> list[Any]:
    """Return the routes with which a dialect counts tokens, such as ``POST /v1/messages/count_tokens``.

    If the count is our own estimate, a header says so.
    """
    if not dialect.count_routes:
        return []

    name = dialect.name
    opt = {
        "summary": "How many tokens a request is",
        "body": dialect.count_body,
        "answer": dict[str, int],
        "dialect": name,
    }

    @post(list(dialect.count_routes), name=f"{name}-count", status_code=200, opt=opt)
    async def count(request: Incoming) -> Response[None]:
        asked = await arrival.count(request, dialect)

        async def work() -> tuple[bytes, Headers]:
            tokens, estimated = await runtime.gateway.count_tokens(asked, name)
            return dialect.write_count(tokens), [(ESTIMATED.encode(), b"true")] if estimated else []

        return running.sent(ShortAnswer(asked, work), request.scope["state"]["identity"])

    return [count]
