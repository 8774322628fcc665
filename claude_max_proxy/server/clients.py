"""Who asks, as far as a request says so: its key, its program, its address, and its word for the session."""

from __future__ import annotations

from typing import Any

import litestar

from claude_max_proxy.request import Client


# As OpenClaw, Codex and Claude Code send it. Not `x-client-request-id`, which most programs make anew for
# every request.
_SESSION_HEADERS = (
    "session_id",
    "session-id",
    "x-session-affinity",
    "x-session-id",
    "x-claude-code-session-id",
)
_LONGEST_SESSION = 200


def client_of(request: litestar.Request[Any, Any, Any], said: Client = Client()) -> Client:  # noqa: B008  # frozen
    """Read who asks from the headers; ``said`` is what the body says of it, and comes after them."""
    headers = request.headers
    session = next((value for name in _SESSION_HEADERS if (value := headers.get(name))), said.session)
    return Client(
        request.scope["state"]["key"],
        headers.get("user-agent", ""),
        request.client.host if request.client else "",
        session[:_LONGEST_SESSION],
    )
