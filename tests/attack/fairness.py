"""Clients of one proxy that must not slow down, hear or see each other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.attack.reciting import RECITE, new_canary, said
from tests.attack.registry import attack
from tests.attack.stage import CHAT, Stage, status_of


FLOOD = 30.0
"""Seconds that an honest client of the CLI may wait while another key floods it."""


@attack("one key floods the CLI", cli=True, honest=("http", "cli"), bound=FLOOD, limit=120)
async def _(stage: Stage) -> None:
    """A key that asks more than there are places for does not keep another key from its turn."""
    await _flood(stage, "sonnet", "[[sleep 0.5]]", {200, 429})


@attack("one key floods an API", honest=("http",), descriptors=124)
async def _(stage: Stage) -> None:
    """A key that asks all the time over HTTP does not keep another key waiting."""
    await _flood(stage, "http", "[[sleep 0.2]]", {200, 429})


async def _flood(stage: Stage, model: str, text: str, right: set[int]) -> None:
    until = asyncio.get_running_loop().time() + stage.seconds(20, 4)

    async def keep_asking(number: int) -> None:
        while asyncio.get_running_loop().time() < until:
            reply = await stage.ask(f"{text} {number}", model, within=60)
            stage.check(status_of(reply) in right, f"the flood got {status_of(reply)}")
            await asyncio.sleep(0.05)

    await stage.together(150, keep_asking)


@attack("one key holds every place", cli=True, honest=("http", "cli"), bound=FLOOD, limit=120)
async def _(stage: Stage) -> None:
    """Conversations that one key leaves open, with calls that nobody answers, leave room for others."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}

    async def open_call(number: int) -> None:
        reply = await stage.ask(f"[[tool look {{}}]] {number}", "sonnet", tools=[tool])
        stage.check(status_of(reply) in (200, 429), f"it answered {status_of(reply)}")

    await stage.together(stage.count(40, 6), open_call, at_once=8)


@attack("two keys with one history", cli=True, honest=("http",), limit=120)
async def _(stage: Stage) -> None:
    """Keys with the same words up to a point never get what another key said after it."""
    for model in ("sonnet", "http", "messages"):
        for _ in range(stage.count(10, 2)):
            shared = new_canary("shared")
            turns = await asyncio.gather(*(_talk(stage, model, key, shared) for key in ("attacker", "other")))
            for problem in filter(None, turns):
                stage.problems.append(f"{model}: {problem}")
            stage.tried += 2


async def _talk(stage: Stage, model: str, key: str, shared: str) -> str:
    """Hold a conversation that begins like another's; return what was mixed up."""
    messages: list[dict[str, Any]] = []
    mine: list[str] = []
    for turn in range(4):
        word = shared if turn == 0 else new_canary(key)
        mine.append(word)
        messages.append({"role": "user", "content": f"{RECITE} {word}"})
        reply = await stage.ask(messages, model, key=key, within=60)
        if reply is None or reply.status_code != 200:
            return f"{key} got {status_of(reply)}"
        answer = reply.json()["choices"][0]["message"]["content"]
        if answer != said(mine):
            return f"{key} heard {answer!r} in the place of {said(mine)!r}"
        messages.append({"role": "assistant", "content": answer})
    return ""


@attack("stored responses of somebody else", quick=True)
async def _(stage: Stage) -> None:
    """A response that one key has stored does not exist for another, to read, continue or delete."""
    word = new_canary("stored")
    body = {"model": "http", "input": f"[[say {word}]]", "store": True}
    stored = await stage.post_json("/v1/responses", body)
    stage.check(status_of(stored) == 200, f"it was not stored: {status_of(stored)}")
    if stored is None or stored.status_code != 200:
        return
    name = json.loads(stored.content)["id"]
    async with stage.client("other") as http:
        for method, path in (
            ("GET", f"/v1/responses/{name}"),
            ("GET", f"/v1/responses/{name}/input_items"),
            ("DELETE", f"/v1/responses/{name}"),
            ("POST", f"/v1/responses/{name}/cancel"),
        ):
            shown = await http.request(method, path)
            stage.check(shown.status_code in (404, 405), f"{method} {path} got {shown.status_code}")
            stage.check(word not in shown.text, f"{method} {path} shows it")
    further = {"model": "http", "input": "and?", "previous_response_id": name}
    reply = await stage.post_json("/v1/responses", further, key="other")
    stage.check(status_of(reply) in (400, 404), f"going on got {status_of(reply)}")
    async with stage.client() as http:
        stage.check((await http.get(f"/v1/responses/{name}")).status_code == 200, "its own key lost it")


@attack("a key that may ask for little", quick=True)
async def _(stage: Stage) -> None:
    """What a key may not ask for, it cannot get by another route, dialect or spelling, nor see in a list."""
    names = (
        "messages",
        "sonnet",
        "claude-sonnet-4",
        "claude-code-cli/claude-sonnet-4",
        "http/any",
        "HTTP",
        "http ",
    )
    for path in (
        CHAT,
        "/chat/completions",
        "/v1/messages",
        "/v1/completions",
        "/v1/responses",
        "/v1/embeddings",
    ):
        for name in names:
            body: dict[str, Any] = {
                "model": name,
                "messages": [{"role": "user", "content": "x"}],
                "prompt": "x",
                "input": "x",
            }
            if path == "/v1/messages":
                body["max_tokens"] = 9
            elif path != "/v1/completions":
                del body["prompt"]
            reply = await stage.post_json(path, body, key="small")
            stage.check(400 <= status_of(reply) < 500, f"{name!r} at {path} got {status_of(reply)}")
    async with stage.client("small") as http:
        listed = [row["id"] for row in (await http.get("/v1/models")).json()["data"]]
        stage.check(listed == ["http"], f"it sees {listed}")
        for name in ("messages", "sonnet"):
            found = (await http.get(f"/v1/models/{name}")).status_code
            stage.check(found == 404, f"it sees {name} by itself: {found}")
