"""Parameters that the provider refuses: left out and named, or left for the client to change."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from claude_max_proxy.anthropic_messages import abilities_of
from claude_max_proxy.testing import Fault, ScriptedUpstream, fault
from tests.end_to_end.chatting import ask
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import function, user


# Each test uses another model, since the proxy remembers what a model refuses.
PROXY_TOML = """
[models]
"older-*" = "claude/claude-haiku-4-5-2025100*"
forced = { to = "claude/sonnet", fallback = ["claude/claude-haiku-4-5"] }
"""
IGNORED = "x-proxy-ignored"
TOOLS = [function("look")]
ADAPTIVE = (
    ' is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control'
)


def refusing(*refused: tuple[str, str]) -> Any:
    """Return an API that refuses fields, in order, with given messages.

    A temperature of 1 it takes, as the API does everywhere: the CLI says that to some models by itself.
    """

    def answer(body: dict[str, Any]) -> Fault | None:
        return next((fault(400, text) for name, text in refused if body.get(name, 1) != 1), None)

    return answer


REFUSED: dict[str, tuple[dict[str, Any], list[tuple[str, str]], str]] = {
    "older-1": (
        {"temperature": 0.2, "reasoning_effort": "none"},
        [("top_p", "no"), ("temperature", "`temperature` is deprecated for this model.")],
        "temperature",
    ),
    "older-2": (
        {"reasoning_effort": "none"},
        [("thinking", f'"thinking.type.disabled"{ADAPTIVE}')],
        "reasoning_effort",
    ),
    "older-3": (
        {"temperature": 0.2, "reasoning_effort": "none", "stop": "END"},
        [
            ("stop_sequences", "stop_sequences: Extra inputs are not permitted"),
            ("thinking", f'"thinking.type.disabled"{ADAPTIVE}'),
        ],
        "stop, reasoning_effort",
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", REFUSED)
async def test_left_out(
    model: str, stream: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """A refused parameter is left out in the same answer, and from the start in later ones; each names it."""
    fields, refused, ignored = REFUSED[model]
    model = f"{model}{int(stream)}"
    upstream.answer_with(refusing(*refused))

    first = await ask(client, "hi", model=model, stream=stream, **fields)
    asked = len(upstream.requests)
    upstream.requests.clear()
    later = await ask(client, "hi again", model=model, stream=stream, **fields)

    assert (first.status_code, later.status_code) == (200, 200), (first.text, later.text)
    assert (
        {*first.headers[IGNORED].split(", ")}
        == {*later.headers[IGNORED].split(", ")}
        == {*ignored.split(", ")}
    )
    # A newer CLI asks up to three times by itself before it reports the refusal.
    assert 1 + len(ignored.split(", ")) <= asked <= 1 + 3 * len(ignored.split(", "))
    assert len(upstream.requests) == 1


async def test_live_conversations_go_on(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A refusal in the middle of a conversation loses nothing of what was said."""
    upstream.answer_with(refusing(("temperature", "`temperature` is deprecated for this model.")))
    messages = [user("one")]
    fields = {"model": "older-4", "reasoning_effort": "none"}
    first = (await ask(client, messages, **fields)).json()["choices"][0]["message"]

    second = await ask(client, [*messages, first, user("two")], temperature=0.1, **fields)

    assert second.json()["choices"][0]["message"]["content"] == "You said: two"
    assert second.headers[IGNORED] == "temperature"
    said = [block["text"] for block in upstream.requests[-1].body["messages"][0]["content"]]
    assert said[-1] == "one"


async def test_what_cannot_be_left_out(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """If the provider refuses a forced tool, the client has to change it, and the error says how."""
    refusal = 'tool_choice: type "tool" and "any" are not supported for this model.'
    upstream.answer_with(refusing(("tool_choice", refusal)))

    response = await ask(client, "hi", model="older-5", tools=TOOLS, tool_choice="required")

    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "tool_choice")
    assert refusal in error["message"]
    assert 'leave it at "auto"' in error["message"]


async def test_other_refusals(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A refusal that names no parameter of the request is passed on unchanged."""
    upstream.answer_with(lambda _: fault(400, "`temperature` is deprecated for this model."))
    response = await ask(client, "hi", model="older-6")
    assert response.status_code == 400
    assert "deprecated" in response.json()["error"]["message"]


async def test_a_forced_tool(
    client: httpx.AsyncClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """A model that cannot be forced is asked without force; if it does not call, a fallback is asked."""
    await ask(client, "hi", model="sonnet")
    name = upstream.requests[-1].body["model"]
    abilities = abilities_of(name)
    assert abilities is not None
    upstream.requests.clear()

    alone = await ask(client, "hi", model="sonnet", tools=TOOLS, tool_choice="required")
    backed = await ask(client, "hi", model="forced", tools=TOOLS, tool_choice="required")

    choices = [request.body.get("tool_choice", {"type": "auto"}) for request in upstream.requests]
    assert backed.status_code == 200
    if abilities.forced:
        assert alone.status_code == 200
        assert choices == [{"type": "any"}] * 2
    else:
        assert (alone.status_code, alone.json()["error"]["code"]) == (502, "tool_not_called")
        assert choices == [{"type": "auto"}] * 2 + [{"type": "any"}]
        assert upstream.requests[-1].body["model"] == "claude-haiku-4-5"
