"""Names, stop sequences and what errors quote have bounds, however much is sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    ConfigError,
    InvalidRequest,
    Message,
    Request,
    Text,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.backends.claude_cli.validation import check
from claude_max_proxy.config import load, parse
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.gateway.model_map import resolve
from claude_max_proxy.server.examining import problems
from tests.growth.growing import (
    anthropic,
    chat,
    holds,
    responses,
)


pytestmark = pytest.mark.slow
LONG = "n" * 257
ROUTES: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat": (OpenAIChat(), chat()),
    "completions": (OpenAICompletions(), {"model": "m", "prompt": "p"}),
    "responses": (OpenAIResponses(), responses()),
    "messages": (AnthropicMessages(), anthropic()),
}


@pytest.mark.parametrize("kind", ROUTES)
def test_a_model_has_a_name_of_a_length(kind: str) -> None:
    """The name of a model has at most 256 characters, in every dialect; the error names the field."""
    dialect, body = ROUTES[kind]
    dialect.open(msgspec.json.encode(body | {"model": LONG[:-1]}))
    with pytest.raises(InvalidRequest, match="256") as caught:
        dialect.open(msgspec.json.encode(body | {"model": LONG}))
    assert caught.value.param == "model"
    assert len(caught.value.message) < 200


HUGE = "h" * 1_000_000
QUOTED: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat: role": (OpenAIChat(), chat({"role": HUGE})),
    "chat: a choice": (OpenAIChat(), chat(reasoning_effort=HUGE)),
    "chat: a function's result": (OpenAIChat(), chat({"role": "function", "name": HUGE, "content": "r"})),
    "chat: a tool's name twice": (
        OpenAIChat(),
        chat(tools=[{"type": "function", "function": {"name": HUGE}}] * 2),
    ),
    "chat: the tool to call": (
        OpenAIChat(),
        chat(tool_choice={"type": "function", "function": {"name": HUGE}}),
    ),
    "chat: a schema's type": (
        OpenAIChat(),
        chat(response_format={"type": "json_schema", "json_schema": {"schema": {"type": HUGE}}}),
    ),
    "chat: a schema's reference": (
        OpenAIChat(),
        chat(
            response_format={
                "type": "json_schema",
                "json_schema": {"schema": {"type": "object", "$ref": f"http://{HUGE}/"}},
            }
        ),
    ),
    "messages: the tool to call": (
        AnthropicMessages(),
        anthropic(tool_choice={"type": "tool", "name": HUGE}),
    ),
    "messages: a tool's name twice": (
        AnthropicMessages(),
        anthropic(tools=[{"name": HUGE, "input_schema": {}}] * 2),
    ),
    "messages: a block's type": (
        AnthropicMessages(),
        anthropic({"role": "user", "content": [{"type": HUGE}]}),
    ),
    "responses: an item's type": (OpenAIResponses(), responses({"type": HUGE})),
    "responses: a tool's type": (OpenAIResponses(), responses(tools=[{"type": HUGE}])),
    "responses: a tool's name twice": (
        OpenAIResponses(),
        responses(tools=[{"type": "function", "name": HUGE}] * 2),
    ),
    "responses: the type of the choice": (OpenAIResponses(), responses(tool_choice={"type": HUGE})),
    "responses: the tool to call": (
        OpenAIResponses(),
        responses(tool_choice={"type": "function", "name": HUGE}),
    ),
}


@pytest.mark.parametrize("kind", QUOTED)
def test_an_error_quotes_a_little(kind: str) -> None:
    """An error quotes only the beginning of what a client wrote, however long that is."""
    dialect, body = QUOTED[kind]
    with pytest.raises(InvalidRequest) as caught:
        dialect.open(msgspec.json.encode(body))
    assert len(caught.value.message) < 1000
    assert len(dialect.error(caught.value)) < 1500


@pytest.mark.parametrize(
    "messages",
    [
        [Message("user", [Text("q"), ToolResult(HUGE, ())])],
        [Message("assistant", [ToolCall(HUGE, "f", "{}")] * 2), Message("user", [Text("q")])],
        [
            Message("user", [Text("q")]),
            Message("assistant", [ToolCall(f"{n}{HUGE[:1000]}", "f", "{}") for n in range(1000)]),
            Message("user", [Text("q")]),
        ],
    ],
    ids=["a result without a call", "two calls of one id", "calls without results"],
)
def test_the_cli_quotes_a_little(messages: list[Message]) -> None:
    """An error of the backend for the CLI also quotes only the beginning."""
    with pytest.raises(InvalidRequest) as caught:
        check(Request("m", messages=[Message("user", [Text("q")]), *messages]))
    assert len(caught.value.message) < 1500


@pytest.mark.parametrize(
    "stops",
    [[f"s{number}" for number in range(65)], ["s" * 1025]],
    ids=["many", "long"],
)
def test_stops_are_bounded(stops: list[str]) -> None:
    """Stop sequences are few and short, since each piece of an answer is compared with all of them."""
    with pytest.raises(InvalidRequest, match="stop") as caught:
        OpenAIChat().open(msgspec.json.encode(chat(stop=stops)))
    assert caught.value.param == "stop"


def test_a_name_of_many_patterns_is_found() -> None:
    """A pattern with several stars matches as before; the first star matches as much as it can."""
    config = parse({"models": {"a*b*c": "claude/*"}, "backends": {}}, None)
    assert getattr(resolve("a1b2b3c", config), "model", "") == "1b2"
    for pattern, name, expected in (
        ("*x*y*z", "axbycz", True),
        ("*x*y*z", "aybxcz", False),
        ("abc**bc", "abc", False),
        ("ab*ab", "ab", False),
        ("ab*ab", "abab", True),
        ("**", "", True),
    ):
        assert matches(pattern, name) is expected, (pattern, name)


def test_many_mistakes_in_a_configuration(tmp_path: Path) -> None:
    """All mistakes of a configuration are found with their lines, in time in proportion; a few are told."""

    def look(size: int) -> Callable[[], Any]:
        file = tmp_path / f"{size}.toml"
        file.write_text("".join(f"[models.m{number}]\nto = 'none/x'\n" for number in range(size)))
        file.chmod(0o600)
        return partial(problems, partial(load, file))

    holds(look, 3000)
    error = ConfigError(*look(1000)())
    assert len(error.messages) == 1000
    assert error.messages[-1].startswith(
        f"{tmp_path}/1000.toml:1999: models.m999: there is no backend 'none'"
    )
    assert len(str(error).splitlines()) < 100
    assert str(error).endswith("more mistakes")
