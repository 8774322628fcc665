"""Every parameter of a chat completion: what the API received for it, or what the client was told."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from claude_max_proxy.anthropic_messages import abilities_of
from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, Thinking, ToolUse
from tests.end_to_end.chatting import answer, ask, chunks, streamed_text
from tests.end_to_end.comparing import asked, seen, seen_system, text_turns
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import MODELS, function, live, new_model, result, user


PROXY_TOML = (
    MODELS
    + """
lazy = { to = "claude/sonnet", effort = "low", max_tokens = 5000 }
prefixed = { to = "claude/sonnet", system = "House rules." }
sampled = { to = "claude/claude-haiku-4-5", temperature = "forward" }
unsampled = { to = "claude/claude-haiku-4-5", temperature = "ignore" }
"""
)
OLDER = "claude-haiku-4-5"  # which can be sampled, and made to call a tool
KNOBS = ("max_tokens", "stop_sequences", "thinking", "temperature", "top_p", "tool_choice")
TOOLS = [function("look"), function("take")]
NAMED = {"type": "function", "function": {"name": "take"}}
CALL = "[[tool take {}]]"
OFF = {"thinking": "off"}  # written as the model accepts it, see `as_said`

# name: (fields, what the API receives other than for a plain request, what x-proxy-ignored names)
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "nothing": ({}, {}, None),
    "max_tokens": ({"max_tokens": 5000}, {"max_tokens": 5000}, None),
    "max_completion_tokens": ({"max_completion_tokens": 6000}, {"max_tokens": 6000}, None),
    "both limits": ({"max_tokens": 5000, "max_completion_tokens": 6000}, {"max_tokens": 6000}, None),
    "small limit": ({"max_tokens": 8}, {"max_tokens": 8} | OFF, None),
    "smallest limit": ({"max_tokens": 1}, {"max_tokens": 1} | OFF, None),
    "stop string": ({"stop": "\nEND"}, {"stop_sequences": ["\nEND"]}, None),
    "stop list": ({"stop": ["a", "/b", "ü"]}, {"stop_sequences": ["a", "/b", "ü"]}, None),
    "effort low": ({"reasoning_effort": "low"}, {"effort": "low"}, None),
    "effort minimal": ({"reasoning_effort": "minimal"}, {"effort": "low"}, None),
    "effort medium": ({"reasoning_effort": "medium"}, {"effort": "medium"}, None),
    "effort high": ({"reasoning_effort": "high"}, {"effort": "high"}, None),
    "effort xhigh": ({"reasoning_effort": "xhigh"}, {"effort": "xhigh"}, None),
    "effort none": ({"reasoning_effort": "none"}, OFF, None),
    "effort max without thinking": (
        {"reasoning_effort": "max", "max_tokens": 100},
        {"max_tokens": 100, "effort": "max"} | OFF,
        None,
    ),
    "temperature": ({"temperature": 0.3}, {}, "temperature"),
    "default temperature": ({"temperature": 1, "top_p": 1}, {}, None),
    "temperature without thinking": (
        {"model": OLDER, "temperature": 0.3, "reasoning_effort": "none"},
        {"temperature": 0.3} | OFF,
        None,
    ),
    "temperature zero": (
        {"model": OLDER, "temperature": 0, "max_tokens": 9},
        {"temperature": 0, "max_tokens": 9} | OFF,
        None,
    ),
    "temperature too high": (
        {"model": OLDER, "temperature": 1.7, "max_tokens": 9},
        {"max_tokens": 9} | OFF,
        "temperature",
    ),
    "top_p": ({"model": OLDER, "top_p": 0.5, "reasoning_effort": "none"}, OFF, "top_p"),
    "both samplings": (
        {"model": OLDER, "temperature": 0.3, "top_p": 0.5, "reasoning_effort": "none"},
        {"temperature": 0.3} | OFF,
        "top_p",
    ),
    "choice auto": ({"tools": TOOLS, "tool_choice": "auto"}, {}, None),
    "choice none": ({"tools": TOOLS, "tool_choice": "none"}, {"tool_choice": {"type": "none"}}, None),
    "choice required": (
        {"model": OLDER, "tools": TOOLS, "tool_choice": "required"},
        {"tool_choice": {"type": "any"}} | OFF,
        None,
    ),
    "choice named": (
        {"model": OLDER, "tools": TOOLS, "tool_choice": NAMED},
        {"tool_choice": {"type": "tool", "name": "take"}} | OFF,
        None,
    ),
    "one at a time": (
        {"tools": TOOLS, "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        None,
    ),
    "one, required": (
        {"model": OLDER, "tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False},
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}} | OFF,
        None,
    ),
    "hints": ({"seed": 7, "presence_penalty": 0.5, "frequency_penalty": -0.5, "verbosity": "low"}, {}, "*"),
    "bookkeeping": (
        {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto"},
        {},
        None,
    ),
    "defaults said": ({"n": 1, "logprobs": False, "modalities": ["text"]}, {}, None),
    "entry": ({"model": "lazy"}, {"effort": "low", "max_tokens": 5000}, None),
    "entry overridden": (
        {"model": "lazy", "reasoning_effort": "high", "max_tokens": 7000},
        {"effort": "high", "max_tokens": 7000},
        None,
    ),
    "entry forwards": ({"model": "sampled", "temperature": 0.2}, {"temperature": 0.2} | OFF, None),
    "entry forwards nothing": ({"model": "sampled"}, {}, None),
    "entry ignores": (
        {"model": "unsampled", "temperature": 0.2, "top_p": 0.1, "reasoning_effort": "none"},
        OFF,
        "temperature, top_p",
    ),
}
HINTS = "frequency_penalty, presence_penalty, seed, verbosity"


def received(upstream: ScriptedUpstream, index: int = -1) -> dict[str, Any]:
    """Return the settings of one of the upstream's requests; the effort by that name."""
    body = upstream.requests[index].body
    given = {name: body.get(name) for name in KNOBS}
    if given["temperature"] == 1:  # the default, which the CLI sends to some models
        given["temperature"] = None
    return given | {"effort": body.get("output_config", {}).get("effort")}


def as_said(expected: dict[str, Any], upstream: ScriptedUpstream) -> dict[str, Any]:
    """Replace `OFF` by what the model accepts for "no thinking"."""
    if expected["thinking"] != OFF["thinking"]:
        return expected

    abilities = abilities_of(upstream.requests[-1].body["model"])
    assert abilities is not None
    assert abilities.off
    effort = expected["effort"]
    capped = effort if effort in {None, *abilities.off_efforts} else abilities.off_efforts[-1]
    return expected | {"thinking": {"type": abilities.off}, "effort": capped}


def told(ignored: str | None, fields: dict[str, Any], upstream: ScriptedUpstream) -> str | None:
    """Add ``reasoning_effort`` to the expected names if the model cannot be told not to think."""
    abilities = abilities_of(upstream.requests[-1].body["model"])
    assert abilities is not None
    if fields.get("reasoning_effort") != "none" or abilities.off == "disabled":
        return ignored
    return ", ".join(["reasoning_effort", *([ignored] if ignored else [])])


@pytest.fixture(scope="module")
def plain(cli: str) -> dict[str, Any]:
    """What the API receives when no parameter is set, by model; filled by the tests."""
    return {}


async def ordinary(
    client: httpx.AsyncClient,
    upstream: ScriptedUpstream,
    plain: dict[str, Any],
    model: str = "claude-sonnet-4",
) -> dict[str, Any]:
    """Return what the API receives when no parameter is set."""
    if model not in plain:
        await answer(client, "hi", model=model)
        plain[model] = received(upstream)
        upstream.clear()
    return dict(plain[model])


@pytest.mark.parametrize("name", TABLE)
async def test_knob(
    name: str, client: httpx.AsyncClient, upstream: ScriptedUpstream, plain: dict[str, Any]
) -> None:
    """A parameter changes exactly what it should in the API's request, and one that cannot is named."""
    fields, changed, ignored = TABLE[name]
    model = fields.get("model", "claude-sonnet-4")
    entry = {"lazy": "claude-sonnet-4", "sampled": OLDER, "unsampled": OLDER}
    expected = await ordinary(client, upstream, plain, entry.get(model, model)) | changed

    response = await ask(client, "hi", **fields)

    assert response.status_code == 200, response.text
    assert as_said(expected, upstream) == received(upstream)
    names = HINTS if ignored == "*" else ignored
    assert told(names, fields, upstream) == response.headers.get("x-proxy-ignored")
    assert len(upstream.requests) == 1


async def test_nothing_sticks(
    client: httpx.AsyncClient, proxy: RunningProxy, upstream: ScriptedUpstream, plain: dict[str, Any]
) -> None:
    """In one live conversation every turn has its own settings, and none if it sets none."""
    turns: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (
            {"max_tokens": 5000, "stop": "END", "reasoning_effort": "low"},
            {"max_tokens": 5000, "stop_sequences": ["END"], "effort": "low"},
        ),
        ({}, {}),
        ({"max_tokens": 9}, {"max_tokens": 9} | OFF),
        ({"reasoning_effort": "high", "stop": ["A"]}, {"effort": "high", "stop_sequences": ["A"]}),
        ({"reasoning_effort": "none"}, OFF),
        ({}, {}),
    ]
    ordinarily = await ordinary(client, upstream, plain)
    model, messages = new_model(), []
    for fields, changed in turns:
        messages.append(user("go on"))
        said = await answer(client, messages, **{**fields, "model": model})
        messages.append({"role": "assistant", "content": said})
        assert as_said(ordinarily | changed, upstream) == received(upstream)

    assert await live(proxy, model, len(turns)) == [False] + [True] * (len(turns) - 1)


async def test_tool_choice_does_not_stick(
    client: httpx.AsyncClient, proxy: RunningProxy, upstream: ScriptedUpstream, plain: dict[str, Any]
) -> None:
    """A tool that must be called once need not be called again when its result arrives."""
    model, messages = OLDER, [user(CALL)]
    ordinarily = await ordinary(client, upstream, plain, model)

    first = await ask(client, messages, model=model, tools=TOOLS, tool_choice="required")
    message = first.json()["choices"][0]["message"]
    messages += [message, result(message["tool_calls"][0]["id"], "taken")]
    await answer(client, messages, model=model, tools=TOOLS)

    assert received(upstream, 0) == as_said(ordinarily | {"tool_choice": {"type": "any"}} | OFF, upstream)
    assert received(upstream) == ordinarily
    assert len(upstream.requests) == 2


CHANGES = [(5000, 6000, True), (None, 7000, True), (6000, None, False)]


@pytest.mark.parametrize("change", CHANGES)
async def test_limit_between_call_and_result(
    change: tuple[int | None, int | None, bool],
    client: httpx.AsyncClient,
    proxy: RunningProxy,
    upstream: ScriptedUpstream,
    plain: dict[str, Any],
) -> None:
    """A limit that changes between a call and its result arrives, in place unless it is removed."""
    ordinarily = await ordinary(client, upstream, plain)
    *limits, in_place = change
    model, messages = new_model(), [user(CALL)]

    first = await ask(client, messages, model=model, tools=TOOLS, max_tokens=limits[0])
    message = first.json()["choices"][0]["message"]
    messages += [message, result(message["tool_calls"][0]["id"], "taken")]
    await answer(client, messages, model=model, tools=TOOLS, max_tokens=limits[1])

    assert [received(upstream, index)["max_tokens"] for index in (0, 1)] == [
        limit or ordinarily["max_tokens"] for limit in limits
    ]
    assert await live(proxy, model, 2) == [False, in_place]


async def test_system_of_an_entry(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """An entry's instructions come before the client's, or are alone if the client has none."""
    for system, expected in [([], "House rules."), (["/be brief"], "House rules.\n\n/be brief")]:
        messages = [{"role": "system", "content": text} for text in system] + text_turns("hi")
        await answer(client, messages, model="prefixed")
        assert expected == seen_system(upstream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply((Text("half of what there is"),), stop_reason="max_tokens", pace=0.1), "length"),
        (Reply((Thinking("so much to think of"),), stop_reason="max_tokens", pace=0.1), "length"),
        (Reply((Text("I would"),), stop_reason="refusal", pace=0.1), "content_filter"),
        (Reply((), stop_reason="refusal"), "content_filter"),
    ],
)
async def test_ended_early(
    reply: Reply, reason: str, stream: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """An answer cut off by its limit or refused ends with its reason, and is asked and billed once."""
    upstream.script(reply)

    response = await ask(client, "hi", stream=stream, max_tokens=5)

    assert response.status_code == 200, response.text
    choices = [chunk["choices"][0] for chunk in chunks(response)] if stream else response.json()["choices"]
    said = "".join((choice.get("message") or choice["delta"]).get("content") or "" for choice in choices)
    assert said == "".join(block.text for block in reply.blocks if isinstance(block, Text))
    assert choices[-1]["finish_reason"] == reason
    await asyncio.sleep(0.5)
    assert len(upstream.requests) == 1


async def test_cut_off_in_a_call(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A call cut off by the limit ends with `length`, is asked once, and the next turn works."""
    upstream.script(Reply((ToolUse("take", raw='{"count": 1'),), stop_reason="max_tokens", pace=0.1))

    response = await ask(client, "hi", tools=TOOLS)
    await asyncio.sleep(0.5)
    once = len(upstream.requests)
    said = await answer(client, text_turns("hi", "…", "go on"), tools=TOOLS)

    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert once == 1
    assert said == "You said: go on"


REFUSED: dict[str, dict[str, Any]] = {
    "n": {"n": 129},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 3},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "audio": {"audio": {"voice": "alloy", "format": "mp3"}},
    "modalities": {"modalities": ["text", "audio"]},
    "web_search_options": {"web_search_options": {"search_context_size": "low"}},
    "max_tokens": {"max_tokens": 0},
    "temperature": {"temperature": 3},
    "tool_choice": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "rm"}}},
    "reasoning_effort": {"reasoning_effort": "huge"},
    "tools[0].type": {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
    "tools[1]": {"tools": [TOOLS[0], TOOLS[0]]},
    "response_format.json_schema.schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x"}}
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("param", REFUSED)
async def test_refused(
    param: str, stream: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """What cannot be honoured and would change the meaning is refused by name, and nothing is sent."""
    response = await ask(client, "hi", stream=stream, **REFUSED[param])

    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert upstream.requests == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stop", ["\n\n", ["\n\n", "END"]])
async def test_a_stop_of_white_space(
    stop: str | list[str], stream: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """The provider refuses such a stop, so the proxy cuts the answer; the chat continues with that text."""
    upstream.script(Reply((Text("one\n\ntwo"),), pace=0.02))
    response = await ask(client, "count", stop=stop, stream=stream)

    if stream:
        heard = streamed_text(response)
        choices = [choice for chunk in chunks(response) for choice in chunk["choices"]]
        reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    else:
        (choice,) = response.json()["choices"]
        heard, reasons = choice["message"]["content"], [choice["finish_reason"]]
    assert (heard, reasons) == ("one", ["stop"])
    assert upstream.requests[-1].body.get("stop_sequences", []) == [one for one in stop if one == "END"]

    messages = text_turns("count", "one", "and now?")
    assert await answer(client, messages) == "You said: and now?"
    assert seen(upstream) == asked(messages)
    assert len(upstream.requests) == 2
