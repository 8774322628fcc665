"""Clients whose histories are exactly equal: each gets its own answers, and never another's."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, Thinking
from tests.end_to_end.chatting import body
from tests.end_to_end.comparing import text_turns
from tests.end_to_end.running import RunningProxy, until


PROXY_TOML = '[models]\n"sonnet-*" = "claude/sonnet"\n'


def said_in(body: dict[str, Any]) -> str:
    """Return everything that a request of the Messages API contains, as text."""
    return json.dumps(body["messages"])


async def tell(client: httpx.AsyncClient, session: str, model: str, *texts: str, header: bool) -> str:
    """Ask in a session that is named in a header or in the body."""
    fields: dict[str, Any] = {"model": model} if header else {"model": model, "prompt_cache_key": session}
    headers = {"session_id": session} if header else {}
    response = await client.post(
        "/v1/chat/completions", json=body(text_turns(*texts), **fields), headers=headers
    )
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize("header", [True, False], ids=["header", "body"])
async def test_equal_histories(
    header: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Of two equal conversations each session continues its own, including what the model thought in it."""
    model = f"sonnet-equal-{header}"
    for name in ("first", "second"):
        upstream.script(Reply((Thinking(f"thought for {name}"), Text("Fine."))))
        assert await tell(client, name, model, "hi", header=header) == "Fine."

    for name, other in (("first", "second"), ("second", "first")):
        assert await tell(client, name, model, "hi", "Fine.", f"more of {name}", header=header)
        seen = said_in(upstream.requests[-1].body)
        assert f"thought for {name}" in seen
        assert f"thought for {other}" not in seen
        assert f"more of {other}" not in seen

    def lines() -> list[str]:
        return [rest for _, rest in proxy.access() if rest.startswith(model)]

    assert await until(lambda: len(lines()) == 4)
    assert ["live" in line.split() for line in lines()] == [False, False, True, True]
    assert all("  session " in line for line in lines())


async def test_a_session_proves_nothing(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A client that names another's session, with its own history, gets nothing of the other's."""
    await tell(client, "mine", "sonnet-proof", "the word is heron", header=True)
    await tell(client, "mine", "sonnet-proof", "hi", "Hello.", "what is the word?", header=True)
    assert "heron" not in said_in(upstream.requests[-1].body)
