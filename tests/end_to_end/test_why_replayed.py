"""Why a conversation did not go on where it was, with the real CLIs."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Client, Message, Request, Started, Text, Tool, fold
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.conftest import MakeCli
from tests.end_to_end.running import until


async def turn(backend: ClaudeCli, *texts: str, model: str = "sonnet", **fields: Any) -> tuple[str, str]:
    """Ask with this history of questions and answers; return why it was replayed, and the answer.

    Only a turn without a reason may go on in place, and every turn but the first without one must.
    """
    messages = [
        Message("assistant" if index % 2 else "user", [Text(text)]) for index, text in enumerate(texts)
    ]
    request = Request(model, messages=messages, **{"client": Client("me"), "system": "be brief", **fields})
    events = [event async for event in backend.answer(request, model)]
    started = events[0]
    assert isinstance(started, Started)
    assert started.live == (not started.replayed and len(texts) > 1)
    return started.replayed, fold(events).text


async def test_the_reasons(make_cli: MakeCli, upstream: ScriptedUpstream) -> None:
    """Each turn says what has changed since the one before; a live turn and a new conversation do not."""
    backend = make_cli(upstream.environment())
    await backend.start()

    async def why(*texts: str, **fields: Any) -> str:
        return (await turn(backend, *texts, **fields))[0]

    new, one = await turn(backend, "one")
    live, two = await turn(backend, "one", one, "two")
    assert (new, live) == ("", "")
    known = ("one", one, "two", two)
    assert await why(*known, "three", system="be long") == "instructions changed"
    assert await why(*known, "three", model="haiku") == "model changed"
    assert await why(*known, "three", client=Client("you")) == "another API key"
    assert await why(*known, "three", tools=[Tool("look", "", {"type": "object"})]) == ""
    assert await why("one", one, "edited") == "history differs at message 3"
    assert await why("what nobody said", "never", "two") == "history not known here"


async def test_a_process_that_died(make_cli: MakeCli, upstream: ScriptedUpstream) -> None:
    """When the process of a conversation has died, the next turn says so."""
    backend = make_cli(upstream.environment())
    await backend.start()
    _, one = await turn(backend, "one")
    (used,) = [process.pid for process in backend.processes() if process.turns]
    next(process for process in backend._pool.processes if process.pid == used).kill()
    assert await until(lambda: all(process.pid != used for process in backend.processes()))
    assert (await turn(backend, "one", one, "two"))[0] == "process ended (by itself)"
