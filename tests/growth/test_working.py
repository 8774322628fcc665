"""What backends, writers and the gateway do takes time in proportion to its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from claude_max_proxy import (
    Client,
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
from claude_max_proxy.config import near_miss
from claude_max_proxy.dialects.openai_responses.free_text import Unwrapping
from claude_max_proxy.formats import SseDecoder, tool_ids
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.gateway.estimates import estimate_tokens
from claude_max_proxy.gateway.white_space_stops import Cutter
from tests.growth.growing import (
    holds,
)


pytestmark = pytest.mark.slow


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
        holds(make, 1000)  # fewer are quick enough not to be judged
