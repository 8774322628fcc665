"""Clients with different API keys and exactly the same history: no word of one reaches the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, Thinking, ToolUse
from tests.end_to_end.chatting import ask
from tests.end_to_end.comparing import text_turns
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until
from tests.end_to_end.working import TOOLS, result, user


KEYS = '[server.api_keys]\nfirst = "key-of-first"\nsecond = "key-of-second"\n'
SETTINGS: dict[str, Any] = {"max_processes": 2, "warm": 0, "warm_models": []}
PAIRS = {
    "two keys": ("first", "second", True),
    "anonymous, then a key": ("", "second", False),
    "a key, then anonymous": ("first", "", True),
}


def headers(key: str) -> dict[str, str]:
    """Return the headers of a client with this key."""
    return {"authorization": f"Bearer key-of-{key}"} if key else {}


class Two:
    """A proxy, and two clients with the same history."""

    def __init__(self, proxy: RunningProxy, upstream: ScriptedUpstream, pair: tuple[str, str, bool]) -> None:
        self.proxy = proxy
        self.upstream = upstream
        self.first, self.second, self.keyed = pair

    async def ask(self, key: str, messages: Any, **fields: Any) -> dict[str, Any]:
        """Ask with a key, and return the message."""
        async with self.proxy.client(headers=headers(key)) as client:
            response = await ask(client, messages, **fields)
        assert response.status_code == 200, response.text
        return response.json()["choices"][0]["message"]

    async def change(self) -> None:
        """Admit the second client: with or without keys, by a reload that keeps the processes."""
        keyed = bool(self.second)
        if keyed == self.keyed:
            return
        path = Path(self.proxy.work) / "proxy.toml"
        text = path.read_text().replace(KEYS, "")
        path.write_text(text + (KEYS if keyed else ""))
        await until(lambda: any("reloaded" in line for line in self.proxy.log), 10)

    def seen(self) -> str:
        """Return everything in the newest request to the provider."""
        return json.dumps(self.upstream.requests[-1].body["messages"])


@pytest_asyncio.fixture(loop_scope="module", params=PAIRS.values(), ids=PAIRS)
async def two(request: pytest.FixtureRequest, start_proxy: StartProxy, upstream: ScriptedUpstream) -> Two:
    """Start a proxy for two clients."""
    pair: tuple[str, str, bool] = request.param
    proxy = await start_proxy(more="\n" + (KEYS if pair[2] else ""), **SETTINGS)
    return Two(proxy, upstream, pair)


async def test_hidden_thoughts(two: Two) -> None:
    """What the model thought for one client is not shown to it for another with the same history."""
    two.upstream.script(Reply((Thinking("the first one's secret"), Text("Fine."))))
    await two.ask(two.first, "hi")
    await two.change()
    two.upstream.script(Reply((Text("More."),)))

    await two.ask(two.second, text_turns("hi", "Fine.", "more"))

    assert "secret" not in two.seen()
    assert "Fine." in two.seen()


async def test_open_calls(two: Two) -> None:
    """A call that waits for one client's result accepts none from another, whatever id it names."""
    call = ToolUse("look", {"where": "here"})
    two.upstream.script(Reply((Thinking("the first one's secret"), call)))
    message = await two.ask(two.first, "work", tools=TOOLS)
    await two.change()
    two.upstream.script(Reply((Text("Theirs."),)), Reply((Text("Mine."),)))
    answered = result(message["tool_calls"][0]["id"], "the second one's result")

    assert (await two.ask(two.second, [user("work"), message, answered], tools=TOOLS))["content"] == "Theirs."

    assert "secret" not in two.seen()
    assert "the second one's result" in two.seen()
    if two.keyed and two.second:
        mine = result(message["tool_calls"][0]["id"], "the first one's result")
        assert (await two.ask(two.first, [user("work"), message, mine], tools=TOOLS))["content"] == "Mine."
        assert "second one's" not in two.seen()


async def test_stored_responses(two: Two) -> None:
    """A response that one client stored cannot be retrieved, continued or deleted by another."""
    two.upstream.script(Reply((Text("Stored."),)))
    async with two.proxy.client(headers=headers(two.first)) as client:
        stored = (await client.post("/v1/responses", json={"model": "sonnet", "input": "hi"})).json()["id"]
    await two.change()
    async with two.proxy.client(headers=headers(two.second)) as client:
        assert (await client.get(f"/v1/responses/{stored}")).status_code == 404
        assert (await client.delete(f"/v1/responses/{stored}")).status_code == 404
        more = {"model": "sonnet", "input": "more", "previous_response_id": stored}
        response = await client.post("/v1/responses", json=more)
    assert (response.status_code, code(response)) == (400, "previous_response_not_found")


def code(response: httpx.Response) -> str:
    """Return an error's code."""
    return str(response.json()["error"]["code"])
