"""Sends what is sent in one piece: a whole answer, and a failure in the form of a dialect."""

from __future__ import annotations

from litestar.types import Send

from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import ProxyError
from claude_max_proxy.server.request_headers import Headers, request_ids


async def send_error(error: ProxyError, dialect: Dialect, send: Send, added: Headers | None = None) -> None:
    """Send a failure as an HTTP status with the dialect's envelope, with the headers ``added`` to it."""
    headers = [(b"content-type", b"application/json"), *error_headers(error), *(added or [])]
    await send_body(dialect.status(error), headers, dialect.error(error), send)


def error_headers(error: ProxyError) -> Headers:
    """Return the headers for a failure."""
    headers = request_ids()
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if not error.passes:
        # The official SDKs obey this header. Without it, some of them always try again within seconds.
        headers.append((b"x-should-retry", b"false"))
    return headers


async def send_body(status: int, headers: Headers, body: bytes, send: Send) -> None:
    """Send a whole answer of JSON with this status; ``headers`` are those beyond its length."""
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
