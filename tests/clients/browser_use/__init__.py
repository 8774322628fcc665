"""browser-use, with Debian's Chromium and pages on this machine."""

from __future__ import annotations

import asyncio
from typing import Any

from claude_max_proxy.testing import Reply, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen


client = Client(
    "browser-use",
    "browser-use",
    environment={
        "ANONYMIZED_TELEMETRY": "false",
        "BROWSER_USE_CLOUD_SYNC": "false",
        "BROWSER_USE_VERSION_CHECK": "false",
        "SKIP_LLM_API_KEY_VERIFICATION": "true",
    },
)
PROGRAM = "program.py"
PAGES = {
    "/": "<title>Start</title><h1>Welcome</h1><a href='/next' style='position: fixed; inset: 0'>Go on</a>",
    "/next": "<title>Next</title><h1>The secret is tulip</h1>",
}

CLICK = {"click": {"index": None, "coordinate_x": 200, "coordinate_y": 200}}
DONE = {"done": {"text": "tulip", "success": True, "files_to_display": []}}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one of the pages."""
    async with asyncio.timeout(10):
        path = ((await reader.readline()).decode().split() or ["", ""])[1]
        while (await reader.readline()).strip():
            pass
        body = PAGES.get(path, "").encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


def step(*actions: dict[str, Any]) -> Reply:
    """Return what the model says in one step: its thoughts, and what to do."""
    thoughts = dict.fromkeys(("thinking", "evaluation_previous_goal", "memory", "next_goal"), "I go on.")
    plan = {"current_plan_item": None, "plan_update": None}
    return Reply((ToolUse("StructuredOutput", {**thoughts, **plan, "action": list(actions)}),))


async def browse(stage: Stage, *replies: Reply, task: str = "find the secret") -> dict[str, Any]:
    """Let an agent work on the pages; return how it ended."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    stage.upstream.script(*replies)
    async with server:
        text = f"Go to http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ and {task}."
        result: dict[str, Any] = await stage.ask(PROGRAM, "browse", text=text, steps=4, within=120)
    return result


@client.check(requests=2)
async def clicks(stage: Stage) -> None:
    """An agent opens a page, clicks a link, and reads the next page; the model sees pictures of both."""
    result = await browse(stage, step(CLICK), step(DONE))
    same(result["said"], "tulip", "what it found")
    same(result["urls"][-1].rpartition("/")[2], "next", "where it was last")
    for request, text in ((0, "Go on"), (1, "The secret is tulip")):
        blocks = seen(stage.upstream, request)[-1][1]
        within(text, str([block[1] for block in blocks if block[0] == "text"]), "what the model read")
        holds("image" in [block[0] for block in blocks], "the model saw no picture")


@client.check(requests=2)
async def plan_limit(stage: Stage) -> None:
    """A used-up plan ends its work, with the provider's own words."""
    result = await browse(stage, task="say [[limit]]")
    within("usage limit reached", str(result["errors"][-1]), "the error")
