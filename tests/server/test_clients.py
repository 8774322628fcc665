"""The client, as a backend and the log see it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.conftest import Served


CASES: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "nothing": ({}, {}, ""),
    "OpenClaw": ({"session_id": "s", "x-session-affinity": "s", "x-client-request-id": "s"}, {}, "s"),
    "Claude Code": ({"x-claude-code-session-id": "c"}, {}, "c"),
    "a name for one request": ({"x-client-request-id": "r"}, {}, ""),
    "the body": ({}, {"prompt_cache_key": "k"}, "k"),
    "both": ({"x-session-id": "h"}, {"prompt_cache_key": "k"}, "h"),
    "endless": ({"session_id": "s" * 5000}, {}, "s" * 200),
}


@pytest.mark.parametrize(("headers", "fields", "session"), CASES.values(), ids=CASES)
async def test_sessions(
    served: Served, headers: dict[str, str], fields: dict[str, Any], session: str
) -> None:
    """A session is what the headers say, or else the body; both are the client's own words."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], **fields}
    headers = {"user-agent": "tests/1", **headers}
    assert (await served.http.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200
    asked, _ = served.backend.asked[0]
    assert (asked.client.session, asked.client.program) == (session, "tests/1")
