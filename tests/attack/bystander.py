"""An honest client and the providers, in a separate process that no attack can slow down.

It prints where the providers are as one line of JSON. Each line of its standard input is a JSON object:
`{"url": …, "key": …, "kinds": ["http", "cli"], "bound": 5}` makes it ask from then on, every tenth of a
second over HTTP and more rarely through the CLI, and `{}` makes it rest. It prints a line for each
question: its kind, the seconds that it took, and what was wrong with the answer, if anything was.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httpx

from claude_max_proxy.testing import ScriptedOpenAI, ScriptedUpstream
from tests.attack.reciting import RECITE, new_canary, recited


PAUSES = {"http": 0.1, "cli": 0.5}
MODELS = {"http": "honest", "cli": "sonnet"}


async def main() -> None:
    """Serve and ask until standard input ends."""
    async with ScriptedOpenAI(recording=False) as openai, ScriptedUpstream(recording=False) as messages:
        for upstream in (openai, messages):
            upstream.answer_with(recited)
        _print({"openai": openai.base_url, "messages": messages.url})
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        asking: list[asyncio.Task[None]] = []
        while line := await reader.readline():
            order = json.loads(line)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            asking = [loop.create_task(_keep_asking(kind, order)) for kind in order.get("kinds", ())]
            if not asking:
                _print({"rests": True})


async def _keep_asking(kind: str, order: dict[str, Any]) -> None:
    # a new connection for each question: an existing one would not notice every attack
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(verify=False, limits=limits)
    async with httpx.AsyncClient(transport=transport, base_url=order["url"], timeout=None) as http:
        while True:
            began = time.monotonic()
            problem = await _ask(http, kind, order)
            _print({"kind": kind, "took": round(time.monotonic() - began, 4), "problem": problem})
            await asyncio.sleep(PAUSES[kind])


async def _ask(http: httpx.AsyncClient, kind: str, order: dict[str, Any]) -> str:
    """Ask a question with a canary; return what is wrong with the answer."""
    canary = new_canary("honest")
    question = {"role": "user", "content": f"{RECITE} {canary}"}
    headers = {"authorization": f"Bearer {order['key']}"}
    try:
        async with asyncio.timeout(order["bound"]):
            reply = await http.post(
                "/v1/chat/completions",
                json={"model": MODELS[kind], "messages": [question]},
                headers=headers,
            )
    except TimeoutError:
        return f"no answer in {order['bound']:g} s"
    except httpx.HTTPError as error:
        return repr(error)
    if reply.status_code != 200:
        return f"{reply.status_code}: {reply.text[:200]}"
    answer = reply.json()["choices"][0]["message"]["content"]
    return "" if answer == canary else f"a wrong answer: {answer[:200]!r}"


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
