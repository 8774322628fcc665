"""Finds out who sends a request: its API key, its program, its address, and its name for the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import litestar

from claude_max_proxy.request import Client


# The headers in which OpenClaw, Codex and Claude Code send the session. `x-client-request-id` is not one of
# them: most programs make a new one for every request.
_SESSION_HEADERS = (
    "session_id",
    "session-id",
    "x-session-affinity",
    "x-session-id",
    "x-claude-code-session-id",
)
_LONGEST_SESSION = 200


def client_of(request: litestar.Request[Any, Any, Any], said: Client = Client()) -> Client:  # noqa: B008  # frozen
    """Return who sends a request, from its headers and what the guard has found out.

    ``said`` is what the body says; the headers take precedence.
    """
    return client_from(request.headers, request.scope["state"], said)


def client_from(headers: Mapping[str, str], state: Any, said: Client = Client()) -> Client:  # noqa: B008  # frozen
    """Return who sends a request with these headers; ``state`` may lack what was not found out."""
    session = next((value for name in _SESSION_HEADERS if (value := headers.get(name))), said.session)
    return Client(
        state.get("key", ""),
        headers.get("user-agent", ""),
        state.get("address", ""),
        session[:_LONGEST_SESSION],
        state.get("identity", ""),
    )
