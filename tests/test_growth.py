"""Work that grows with what a client or an upstream sends: never faster than in proportion to its size.

Each kind of input is made small and four times as large. Work in proportion takes four times as long then,
quadratic work sixteen times. What is measured is the thread's own CPU time, the least of some, so that a
machine at work does not matter.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Client,
    ConfigError,
    InvalidRequest,
    Message,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    formats,
)
from claude_max_proxy.anthropic_messages import (
    ContentBlock,
    Delta,
    MessageReader,
    StreamEvent,
    ToolNames,
    check_tools,
)
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.writing import compose as compose_anthropic
from claude_max_proxy.backends.claude_cli import exactness
from claude_max_proxy.backends.claude_cli.choice import Held, Wanted, choose
from claude_max_proxy.backends.claude_cli.fingerprint import extend, root
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.transcript import entry
from claude_max_proxy.backends.claude_cli.validation import check
from claude_max_proxy.backends.openai_api.lanes import Lanes
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.backends.openai_api.writing import compose as compose_openai
from claude_max_proxy.capabilities.honoured import header_of
from claude_max_proxy.config import load, near_miss, parse
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.dialects.openai_responses.free_text import Unwrapping
from claude_max_proxy.formats import SseDecoder, tool_ids
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.gateway.estimates import estimate_tokens
from claude_max_proxy.gateway.model_map import resolve
from claude_max_proxy.gateway.white_space_stops import Cutter
from claude_max_proxy.server.examining import problems


pytestmark = pytest.mark.slow
LARGER = 4
MOST = 9.0  # of the larger one's time; in proportion it is 4, quadratic 16
LEAST_SECONDS = 0.02  # work that takes less is not judged: it is quick enough, however it grows
ROUNDS = (
    3  # quadratic work is slow in each of them, and a small body in a moment of warm caches is quick in one
)
SAMPLES = 7  # the least of fewer is now and then that of a moment in which other programs had the caches


def seconds(work: Callable[[], Any]) -> float:
    """Return the least CPU time that the work takes in several tries."""
    least = float("inf")
    for _ in range(SAMPLES):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return least


def holds(make: Callable[[int], Callable[[], Any]], size: int) -> None:
    """Fail if four times as much input takes more than nine times as long."""
    small, large = make(size), make(size * LARGER)
    for _ in range(ROUNDS):
        ratio = grown(small, large)
        if ratio < MOST:
            return
    pytest.fail(f"{size * LARGER} take {ratio:.1f} times as long as {size}")


def grown(small: Callable[[], Any], large: Callable[[], Any]) -> float:
    """Return how many times as long the larger work takes, or 0 if it is quick enough however it grows."""
    gc.collect()
    gc.disable()  # the garbage collector's work grows with the number of the test's objects
    try:
        taken = seconds(large)
        return taken / seconds(small) if taken > LEAST_SECONDS else 0.0
    finally:
        gc.enable()


# --- what a client sends, through each dialect


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a chat completion's body."""
    return {"model": "m", "messages": [{"role": "user", "content": "q"}, *messages], **fields}


def anthropic(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a message's body."""
    return {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}, *messages],
        **fields,
    }


def responses(*items: Any, **fields: Any) -> dict[str, Any]:
    """Return a response's body."""
    return {"model": "m", "input": [{"role": "user", "content": "q"}, *items], "store": False, **fields}


def called(name: str = "f", id_: str = "c") -> dict[str, Any]:
    """Return a call in the form of a chat completion."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}}


BODIES: dict[str, tuple[Dialect, Callable[[int], dict[str, Any]], int]] = {
    "chat: results in a row": (
        OpenAIChat(),
        lambda n: chat(*[{"role": "tool", "tool_call_id": "c", "content": "r"}] * n),
        5000,
    ),
    "chat: results of functions in a row": (
        OpenAIChat(),
        lambda n: chat(
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            *[{"role": "function", "name": "f", "content": "r"}] * n,
        ),
        5000,
    ),
    "chat: turns with calls": (
        OpenAIChat(),
        lambda n: chat(
            *[
                {"role": "assistant", "tool_calls": [called()]},
                {"role": "tool", "tool_call_id": "c", "content": "r"},
            ]
            * n
        ),
        3000,
    ),
    "chat: unknown fields of the body": (
        OpenAIChat(),
        lambda n: chat(**{f"x{i}": 1 for i in range(n)}),
        5000,
    ),
    "chat: unknown fields of messages": (
        OpenAIChat(),
        lambda n: chat(*[{"role": "user", "content": "q", f"x{i}": [1]} for i in range(n)]),
        5000,
    ),
    "chat: parts": (
        OpenAIChat(),
        lambda n: chat({"role": "user", "content": [{"type": "text", "text": "t"}] * n}),
        10_000,
    ),
    "chat: tools": (
        OpenAIChat(),
        lambda n: chat(tools=[{"type": "function", "function": {"name": f"t{i}"}} for i in range(n)]),
        5000,
    ),
    "chat: allowed tools": (
        OpenAIChat(),
        lambda n: chat(
            tools=[{"type": "function", "function": {"name": f"t{i}"}} for i in range(n)],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"function": {"name": f"t{i}"}} for i in range(n)],
                },
            },
        ),
        3000,
    ),
    "completions: unknown fields": (
        OpenAICompletions(),
        lambda n: {"model": "m", "prompt": "p", **{f"x{i}": 1 for i in range(n)}},
        5000,
    ),
    "messages: results in a row": (
        AnthropicMessages(),
        lambda n: anthropic(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"c{i}"} for i in range(n)]}
        ),
        5000,
    ),
    "messages: reminders": (
        AnthropicMessages(),
        lambda n: anthropic(*[{"role": "system", "content": "s"}] * n),
        5000,
    ),
    "messages: found tools": (
        AnthropicMessages(),
        lambda n: anthropic(
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c",
                        "content": [{"type": "tool_reference", "tool_name": f"t{i}"} for i in range(n)],
                    }
                ],
            },
            tools=[{"name": f"t{i}", "input_schema": {}, "defer_loading": True} for i in range(n)],
        ),
        3000,
    ),
    "messages: unknown fields of blocks": (
        AnthropicMessages(),
        lambda n: anthropic(
            {"role": "user", "content": [{"type": "text", "text": "t", f"x{i}": 1} for i in range(n)]}
        ),
        5000,
    ),
    "responses: results in a row": (
        OpenAIResponses(),
        lambda n: responses(*[{"type": "function_call_output", "call_id": "c", "output": "r"}] * n),
        5000,
    ),
    "responses: one turn of calls": (
        OpenAIResponses(),
        lambda n: responses(
            *[{"type": "function_call", "call_id": f"c{i}", "name": "f", "arguments": "{}"} for i in range(n)]
        ),
        5000,
    ),
    "responses: unknown fields of items": (
        OpenAIResponses(),
        lambda n: responses(*[{"role": "user", "content": "q", f"x{i}": {"y": 1}} for i in range(n)]),
        5000,
    ),
    "responses: tools": (
        OpenAIResponses(),
        lambda n: responses(tools=[{"type": "function", "name": f"t{i}"} for i in range(n)]),
        5000,
    ),
    "responses: include": (OpenAIResponses(), lambda n: responses(include=["x"] * n), 20_000),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_dialect_reads_in_proportion(kind: str) -> None:
    """Reading a body takes time in proportion to its length, whatever it contains many of."""
    dialect, body, size = BODIES[kind]

    def make(count: int) -> Callable[[], Any]:
        raw = msgspec.json.encode(body(count))
        return lambda: dialect.open(raw).request

    holds(make, size)


# --- what backends make of it


def turns(count: int, id_: Callable[[int], str]) -> list[Message]:
    """Return a history of calls and their results."""
    messages = []
    for number in range(count):
        messages.append(Message("assistant", [ToolCall(id_(number), "f", "{}")]))
        messages.append(Message("user", [ToolResult(id_(number), (Text("r"),))]))
    return messages


def one_turn(count: int) -> list[Message]:
    """Return a turn of many calls."""
    return [
        Message("user", [Text("q")]),
        Message("assistant", [ToolCall(f"c{n}", "f", "{}") for n in range(count)]),
        Message("user", [ToolResult(f"c{n}", (Text("r"),)) for n in range(count)]),
    ]


def asked(messages: list[Message], tools: Sequence[Tool] = ()) -> Request:
    """Return a request."""
    return Request("m", messages=[Message("user", [Text("q")]), *messages], tools=list(tools))


def chosen(count: int) -> Callable[[], Any]:
    """Return the choice of a process for a long history, among one that has it and one that has another."""
    request = asked([*turns(count, lambda n: f"c{n}"), Message("user", [Text("now")])])
    kind = ProcessKind("m")
    base = root(request, kind)
    digest, entries = base, []
    for number, message in enumerate(request.messages[:-1]):
        entries.append(entry(digest, message, f"line{number}"))
        digest = extend(digest, [message])
    held = [Held(base, entries, {}, Client()), Held(base, entries[: len(entries) // 2], {}, Client())]
    return lambda: choose(Wanted(kind, base, Client(), request.messages), held, 60.0)


def tool_fields(count: int) -> Callable[[], Any]:
    """Return a tool with many fields that only one API knows, converted for the other one."""
    tool = Tool("t", fields={f"x{number}": 1 for number in range(count)})
    return lambda: compose_openai(asked([], [tool]), "m", OpenAIApiSettings())


def fed(make: Callable[[], Callable[[Any], Any]], piece: Any, *, first: Any = None) -> Any:
    """Work that reads one piece many times."""

    def of(count: int) -> Callable[[], Any]:
        def work() -> None:
            feed = make()
            if first is not None:
                feed(first)
            for _ in range(count):
                feed(piece)

        return work

    return of


def signatures() -> Callable[[str], Any]:
    """Return a reader in the middle of a thought, which accepts pieces of its signature."""
    reader = MessageReader()
    reader.read(StreamEvent("content_block_start", content_block=ContentBlock("thinking")))
    return lambda piece: reader.read(StreamEvent("content_block_delta", delta=Delta(signature=piece)))


def two_calls() -> Callable[[str], Any]:
    """Return the lanes of an answer where a second call waits for the first to end."""
    lanes = Lanes()
    lanes.call(0, "a", "f", '{"a":[')
    lanes.call(1, "b", "f", "{}")
    return lambda piece: lanes.call(0, "", "", piece)


WORK: dict[str, tuple[Callable[[int], Callable[[], Any]], int]] = {
    "one id in many turns": (
        lambda n: partial(tool_ids.distinct, turns(n, lambda _: "c"), tool_ids.plain),
        3000,
    ),
    "ids made to collide": (
        lambda n: partial(tool_ids.distinct, turns(n, lambda i: "c" if i % 2 else f"cx{i // 2}"), str),
        3000,
    ),
    "compose for the Messages API": (
        lambda n: partial(compose_anthropic, asked(turns(n, lambda _: "c")), "m", AnthropicApiSettings()),
        2000,
    ),
    "compose for chat completions": (
        lambda n: partial(compose_openai, asked(one_turn(n)), "m", OpenAIApiSettings()),
        5000,
    ),
    "fields of a tool": (tool_fields, 20_000),
    "checks for the CLI": (lambda n: partial(check, asked(one_turn(n))), 3000),
    "the choice of a process": (chosen, 1000),
    "estimates": (lambda n: partial(estimate_tokens, asked(one_turn(n))), 5000),
    "exactness": (
        lambda n: partial(
            exactness.inexact,
            asked([], [Tool("t", parameters={str(number): 10**17 for number in range(n)})]),
        ),
        5000,
    ),
    "tools": (
        lambda n: partial(check_tools, [Tool(f"t{i}", parameters={"type": "object"}) for i in range(n)]),
        500,
    ),
    "names of tools": (lambda n: partial(ToolNames, [f"é{i}" for i in range(n)]), 5000),
    "a long name of a tool": (lambda n: partial(ToolNames, ["é" * n]), 1_000_000),
    "a long id for the CLI": (lambda n: partial(tool_ids.plain, "é1" * n), 1_000_000),
    "a long id for the API": (lambda n: partial(tool_ids.for_anthropic, "é1" * n), 1_000_000),
    "a model's name and a pattern": (lambda n: partial(matches, "*x*y*x*z", "xy" * n), 100_000),
    "a model's name and a misspelling": (lambda n: partial(near_miss, "x" * n, ["xx"]), 1_000_000),
    "a header of names": (lambda n: partial(header_of, [f"x{i}" for i in range(n)]), 20_000),
    "base64 in pieces": (
        lambda n: partial(formats.inline_document, "text/plain", "YWJj\n" * n, "", "p"),
        100_000,
    ),
    "escapes of a URL": (
        lambda n: partial(formats.read_document, "data:text/plain," + "%20" * n, "", "p"),
        50_000,
    ),
    "a line of events in many pieces": (fed(lambda: SseDecoder().feed, b"x"), 20_000),
    "an event of many lines": (fed(lambda: SseDecoder().feed, b"data: x\n"), 20_000),
    "a stop that never comes": (fed(lambda: Cutter(["\n" * 100 + " "]).feed, "\n" * 50), 1000),
    "white space in the place of arguments": (fed(lambda: Unwrapping().feed, " "), 20_000),
    "arguments that cannot be read": (fed(lambda: Unwrapping().feed, "\\x", first='{"input":"'), 5000),
    "a signature in many pieces": (fed(signatures, "x" * 50), 20_000),
    "arguments while another call waits": (fed(two_calls, '{"b":"}"},'), 3000),
}


@pytest.mark.parametrize("kind", WORK)
def test_work_grows_in_proportion(kind: str) -> None:
    """Whatever is done with input takes time in proportion to it."""
    make, size = WORK[kind]
    holds(make, size)


def test_a_quadratic_loop_would_be_seen() -> None:
    """The measurement itself distinguishes quadratic work from work in proportion."""

    def make(count: int) -> Callable[[], Any]:
        names = [str(number) for number in range(count)]
        return lambda: [name for name in names if name in names[::-1][:count]]

    with pytest.raises(pytest.fail.Exception, match="times as long"):
        holds(make, 500)


# --- names and what is quoted

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
