"""The routes that count tokens, for the dialects whose API has them."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.handlers import post

from claude_max_proxy.dialect import CountingDialect, Dialect
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.arrival import Arrival, Incoming


ESTIMATED = "x-proxy-estimated"


def counting_routes(runtime: Runtime, dialect: Dialect, arrival: Arrival) -> list[Any]:
    """``POST /v1/messages/count_tokens``; a count that nobody but us made is marked in a header."""
    if not isinstance(dialect, CountingDialect):
        return []

    name = dialect.name
    receive = arrival.reader(dialect.read_count, dialect)
    opt = {
        "summary": "How many tokens a request is",
        "body": getattr(dialect, "count_body", None),
        "answer": dict[str, int],
        "dialect": name,
    }

    @post(list(dialect.count_routes), name=f"{name}-count", status_code=200, opt=opt)
    async def count(request: Incoming) -> Response[bytes]:
        asked, _ = await receive(request)
        tokens, estimated = await runtime.gateway.count_tokens(asked, name)
        headers = {ESTIMATED: "true"} if estimated else {}
        return Response(dialect.write_count(tokens), headers=headers, media_type="application/json")

    return [count]
