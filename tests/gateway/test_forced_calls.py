"""A tool call that the client insists on and the model could not be forced to make: whether it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Event, Finished, PartStarted, Started, Tool, complete_part
from claude_max_proxy.errors import ToolNotCalled
from claude_max_proxy.gateway.forced_calls import called
from claude_max_proxy.request import ToolChoice
from tests.scripted import collect, failure, question, scripted_gateway


def saying(*calls: str, reason: Any = "") -> list[Event]:
    """Return an answer of a text and calls of these tools."""
    parts = [complete_part(PartStarted(0, "text"), "Well.")]
    parts += [
        complete_part(PartStarted(index, "tool_call", f"id{index}", name), "{}")
        for index, name in enumerate(calls, 1)
    ]
    end = Finished(reason or ("tool_calls" if calls else "stop"))
    return [Started("m"), *(event for part in parts for event in part), end]


async def outcome(choice: ToolChoice, events: list[Event], *, unforced: bool = True) -> str:
    """Return the code of the failure, or an empty text; what comes before is passed on."""

    async def answer() -> Any:
        if unforced:
            request.ignore("tool_choice")
        for event in events:
            yield event

    request = question("claude-sonnet-4")
    request.tools, request.tool_choice = [Tool("look"), Tool("find")], choice
    seen: list[Event] = []
    try:
        async for event in called(answer(), request):
            seen.append(event)  # noqa: PERF401  # what came before the failure counts
    except ToolNotCalled as error:
        assert seen == events[:-1]
        return error.code
    assert seen == events
    return ""


@pytest.mark.parametrize(
    ("choice", "calls", "missing"),
    [
        (ToolChoice("required"), (), True),
        (ToolChoice("required"), ("find",), False),
        (ToolChoice("required"), ("find", "look"), False),
        (ToolChoice("named", "look"), (), True),
        (ToolChoice("named", "look"), ("find",), True),
        (ToolChoice("named", "look"), ("look",), False),
        (ToolChoice("named", "look"), ("find", "look"), False),
    ],
)
async def test_the_call(choice: ToolChoice, calls: tuple[str, ...], *, missing: bool) -> None:
    """An answer without the call fails, where the model could not be forced; any other is passed on."""
    assert await outcome(choice, saying(*calls)) == ("tool_not_called" if missing else "")
    assert await outcome(choice, saying(*calls), unforced=False) == ""


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_off(reason: str) -> None:
    """The reason of an answer that was cut off or refused says why it has no call."""
    assert await outcome(ToolChoice("required"), saying(reason=reason)) == ""


async def test_a_fallback_may_call(tmp_path: Path) -> None:
    """If the model did not call, a fallback is asked, unless the client has heard something."""
    models = {"best": {"to": "claude/one", "fallback": ["claude/two"]}}
    gateway, backend = scripted_gateway(tmp_path, table={"models": models})
    backend.script = saying()

    def request(*, stream: bool) -> Any:
        asked = question("best", stream=stream)
        asked.tools, asked.tool_choice = [Tool("look")], ToolChoice("required")
        asked.ignore("tool_choice")  # as the backend does for a model that cannot be forced
        return asked

    error = failure(await collect(gateway, request(stream=False)))
    assert (type(error), [model for _, model in backend.asked]) == (ToolNotCalled, ["one", "two"])
    backend.asked.clear()
    error = failure(await collect(gateway, request(stream=True)))
    assert (type(error), [model for _, model in backend.asked]) == (ToolNotCalled, ["one"])
