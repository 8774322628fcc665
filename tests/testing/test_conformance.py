"""The conformance suite, for every built-in dialect and backends without a CLI, correct and broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import (
    Backend,
    Event,
    Failed,
    Finished,
    InvalidRequest,
    Message,
    NotFound,
    PartDelta,
    PartStarted,
    ProxyError,
    Request,
    Started,
    Text,
    complete_part,
)
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_chat.writing import ChatWriter
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.errors import Overloaded
from claude_max_proxy.plugin.drop_ins import DropIns
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from claude_max_proxy.route import Route
from claude_max_proxy.testing.conformance import check_backend, check_dialect
from tests.scripted import plugin_folder


ROOT = Path(__file__).parents[2]
CHAT = [
    b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}',
    (
        b'{"model": "m", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5,'
        b' "max_tokens": 9, "stop": ["x"], "reasoning_effort": "low", "user": "u", "n": 1,'
        b' "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],'
        b' "messages": [{"role": "system", "content": "Be brief."},'
        b' {"role": "user", "content": [{"type": "text", "text": "hi"}]}]}'
    ),
]
MESSAGES = [
    b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}',
    (
        b'{"model": "m", "max_tokens": 9, "stream": true, "temperature": 0.5, "stop_sequences": ["x"],'
        b' "system": [{"type": "text", "text": "Be brief."}], "thinking": {"type": "adaptive"},'
        b' "metadata": {"user_id": "u"}, "output_config": {"effort": "low"}, "tool_choice": {"type": "any"},'
        b' "tools": [{"name": "look", "input_schema": {"type": "object"}}],'
        b' "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}'
    ),
]
COMPLETIONS = [
    b'{"model": "m", "prompt": "Once", "stop": ["x"], "max_tokens": 5, "temperature": 0.5, "echo": false}'
]
RESPONSES = [
    b'{"model": "m", "input": "hi"}',
    (
        b'{"model": "m", "stream": true, "store": true, "previous_response_id": "resp_1", "temperature": 0.5,'
        b' "max_output_tokens": 9, "instructions": "Be brief.", "user": "u", "metadata": {"a": "b"},'
        b' "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],'
        b' "text": {"format": {"type": "text"}}, "tool_choice": "auto", "parallel_tool_calls": true,'
        b' "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],'
        b' "input": [{"role": "system", "content": "Be brief."},'
        b' {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}'
    ),
]
SAMPLES = {
    "anthropic-messages": MESSAGES,
    "openai-chat": CHAT,
    "openai-completions": COMPLETIONS,
    "openai-responses": RESPONSES,
}
WITHOUT_TOOLS = {"openai-completions"}


def built_in_dialects() -> dict[str, Dialect]:
    """Return every client API that is built in."""
    dialects: dict[str, Dialect] = {}
    Plugins(load_built_ins(), PluginsConfig()).register_dialects(
        lambda dialect: dialects.update({dialect.name: dialect})
    )
    return dialects


def backend_of(folder: Path, wanted: str) -> Callable[[], Any]:
    """Return a function that makes a backend of a type that a drop-in registers."""
    made: dict[str, Callable[[], Backend]] = {}

    def register(type_: str, settings: Any, build: Any) -> None:
        made[type_] = lambda: build("mine", settings())

    Plugins(DropIns([folder]).plugins(), PluginsConfig()).register_backends(register)
    return made[wanted]


@pytest.mark.parametrize("name", built_in_dialects())
def test_every_built_in_dialect(name: str) -> None:
    """Every built-in dialect fulfils the contract, and has samples here."""
    check_dialect(built_in_dialects()[name], SAMPLES[name], tools=name not in WITHOUT_TOOLS)


async def test_the_echo() -> None:
    """The echo drop-in fulfils the whole contract of a backend."""
    await check_backend(backend_of(ROOT / "plugins", "echo"))


CALL: list[Any] = [
    Started("m"),
    *complete_part(PartStarted(0, "tool_call", "call1", "look"), "{}"),
    Finished("tool_calls"),
]


def scripted(make: Callable[[], Any], by_text: dict[str, list[Any]]) -> Callable[[], Any]:
    """Return a scripted backend that answers some texts by special scripts."""

    def build() -> Any:
        backend = make()
        usual, answer = backend.script, backend.answer

        def chosen(request: Request, model: str) -> Any:
            (part,) = request.messages[-1].parts
            backend.script = by_text.get(part.text, usual) if isinstance(part, Text) else usual
            return answer(request, model)

        backend.answer = chosen
        return backend

    return build


def asking(text: str) -> Request:
    """Return a request with this text."""
    return Request("m", messages=[Message("user", [Text(text)])])


@pytest.mark.parametrize("failure", [Overloaded("no"), Failed(Overloaded("no"))])
async def test_the_scripted_backend(tmp_path: Path, failure: Any) -> None:
    """Tool calls and failures, raised or yielded, are checked if a backend has them."""
    make = scripted(
        backend_of(plugin_folder(tmp_path), "scripted"), {"call": CALL, "fail": [Started("m"), failure]}
    )
    await check_backend(make, calling=asking("call"), failing=asking("fail"))


# --- what it finds


class Broken(Backend):
    """A correct backend, which is then broken in one place."""

    def __init__(self, **broken: Any) -> None:
        self._events: list[Any] = broken.pop("events", None) or [
            Started("m"),
            *complete_part(PartStarted(0, "text"), "x"),
            Finished("stop"),
        ]
        self._task: Any = None
        for name, value in broken.items():
            setattr(self, name, value)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def answer(self, request: Request, model: str) -> Any:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            await asyncio.sleep(0)
            yield event

    def describe(self, model: str) -> Any:
        from claude_max_proxy.backend import ModelInfo

        return ModelInfo(model)

    def health(self) -> Any:
        return {"status": "ok"}


async def never() -> None:
    """Never end."""
    await asyncio.sleep(3600)


async def changes(request: Request, model: str) -> Any:
    """Yield an answer that changes its request."""
    request.messages.append(Message("assistant", [Text("x")]))
    for event in (Started("m"), Finished("stop")):
        yield event


def connects(_: str) -> Any:
    """Return a description after a lookup."""
    import socket

    from claude_max_proxy.backend import ModelInfo

    with socket.socket() as connection:
        connection.connect_ex(("127.0.0.1", 9))
    return ModelInfo("m")


async def begins() -> None:
    """Start something and leave it running."""
    asyncio.get_running_loop().create_task(never(), name="left")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"events": [Finished("stop")]}, "the events break their grammar"),
        ({"events": [Started("m")]}, "stop before Finished or Failed"),
        ({"events": [Started("m"), Finished("stop"), Finished("stop")]}, "comes after the end"),
        ({"events": ["event"]}, "is no event"),
        ({"events": [Overloaded("no")]}, "an ordinary request failed"),
        ({"answer": changes}, "answering changed the request"),
        ({"describe": lambda _: {}}, "is no ModelInfo"),
        ({"describe": connects}, r"describe\(\) does I/O: \['socket.connect'\]"),
        ({"health": dict}, r"health\(\) has the status None"),
        ({"health": lambda: None}, "is no dict"),
        ({"stop": never}, r"stop\(\) does not end within"),
        ({"honors": {"seed"}}, "did you mean 'honours'"),
        ({"honours": {"sed"}}, "it honours 'sed', which is no capability; did you mean 'seed'"),
        ({"start": begins}, r"stop\(\) leaves tasks running"),
    ],
)
async def test_a_broken_backend(broken: dict[str, Any], message: str) -> None:
    """A backend that breaks a rule fails with that rule."""
    with pytest.raises(AssertionError, match=message):
        await check_backend(lambda: Broken(**broken), within=0.2)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_bug_is_not_hidden() -> None:
    """An exception that is not one of our errors is raised unchanged."""
    with pytest.raises(KeyError):
        await check_backend(lambda: Broken(events=[KeyError("x")]))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([Started("m"), Finished("stop")], "there is no tool call"),
        ([*CALL[:-1], Finished("stop")], "ends in 'stop'"),
        ([CALL[0], PartStarted(0, "tool_call", "", "look"), *CALL[2:]], "has no id"),
        ([*CALL[:2], PartDelta(0, "[]"), *CALL[3:]], "is no JSON object"),
    ],
)
async def test_broken_calls(tmp_path: Path, script: list[Any], message: str) -> None:
    """Tool calls that no client could use are found."""
    make = scripted(backend_of(plugin_folder(tmp_path), "scripted"), {"call": script})
    with pytest.raises(AssertionError, match=message):
        await check_backend(make, calling=asking("call"))


class BrokenWriter:
    """A writer with one broken method."""

    def __init__(self, writer: Any, **broken: Any) -> None:
        self._writer, self._broken = writer, broken

    def __getattr__(self, name: str) -> Any:
        return self._broken.get(name) or getattr(self._writer, name)


class BrokenDialect(OpenAIChat):
    """The chat dialect, broken in one place."""

    def __init__(self, **broken: Any) -> None:
        self._writer = broken.pop("writer", None)
        self._writes = {name: broken.pop(name) for name in ("write", "whole", "keep_alive") if name in broken}
        for name, value in broken.items():
            setattr(self, name, value)

    def open(self, body: bytes) -> Any:
        exchange = super().open(body)
        exchange.writer = self._writer or BrokenWriter(exchange.writer, **self._writes)
        return exchange


def raises(error: Exception) -> Callable[..., Any]:
    """Return a function that only raises."""

    def fail(*_: Any) -> Any:
        raise error

    return fail


def opens(body: bytes) -> Exchange:
    """Accept any body."""
    return Exchange(Request("m"), ChatWriter("m"))


def refuses_without_a_field(body: bytes) -> Exchange:
    """Refuse without naming a field."""
    try:
        return OpenAIChat().open(body)
    except ProxyError as error:
        raise InvalidRequest(error.message) from error


def writes_once(event: Event) -> bytes:
    """Write nothing."""
    return b""


ONE = BrokenWriter(ChatWriter("m"))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"name": ""}, "has a name"),
        ({"routes": ()}, "has routes"),
        ({"routes": ("v1",)}, "begins with /"),
        ({"body": Request}, "is not what its samples are"),
        ({"open": opens}, "was taken|was read as"),
        ({"open": refuses_without_a_field}, "no field is named"),
        ({"open": lambda body: __import__("json").loads(body)}, "which is no Exchange"),
        ({"open": lambda body: Exchange(__import__("json").loads(body), ONE)}, "which is no Request"),
        ({"stats": print}, "did you mean 'status'"),
        ({"count_routes": ("/count",)}, "must be refused by a ClientError, not NotImplementedError"),
        ({"write": writes_once}, "streams as"),
        ({"whole": lambda reply: b"{}"}, "lacks the text"),
        ({"keep_alive": lambda: b""}, "must see something"),
        ({"error": lambda error: b"{}"}, "lacks"),
        ({"writer": ONE}, "writer of its own"),
    ],
)
def test_a_broken_dialect(broken: dict[str, Any], message: str) -> None:
    """A dialect that breaks a rule fails with that rule."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(BrokenDialect(**broken), CHAT)


class BrokenMore(OpenAIResponses):
    """A dialect with further routes, whose parts a test replaces."""

    def __init__(self, routes: tuple[Route, ...] = (), resume: Any = None) -> None:
        """Be correct, except for the parts that are given."""
        super().__init__()
        self._routes, self._resume_by = routes, resume

    def open(self, body: bytes) -> Exchange:
        """Open the exchange that is given."""
        exchange = super().open(body)
        exchange.resume = self._resume_by or exchange.resume
        return exchange

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """Return the part that is given."""
        return self._routes


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (BrokenMore((Route("GET", "things/{id}", raises(NotFound("no"))),)), "begins with /"),
        (BrokenMore((Route("GET", "/things/{id}", raises(KeyError("no"))),)), "refuse by a ClientError, not"),
        (BrokenMore((Route("GET", "/things/{id}", lambda call: b"null"),)), "answers b'null'"),
        (BrokenMore(resume=raises(KeyError("no"))), "refuse by a ClientError, not"),
        (BrokenMore(resume=raises(InvalidRequest("no"))), "no field is named"),
    ],
)
def test_a_dialect_with_more_that_is_broken(broken: Dialect, message: str) -> None:
    """Further routes and a memory have their own rules, and a broken rule is named."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(broken, RESPONSES)


def test_a_dialect_that_crashes() -> None:
    """A body must be refused with one of our errors, whatever is wrong with it."""

    def crashing(body: bytes) -> Exchange:
        if b"m" not in body:
            raise ValueError(body[:9])
        return OpenAIChat().open(body)

    with pytest.raises(AssertionError, match="must be refused by a ClientError, not"):
        check_dialect(BrokenDialect(open=crashing), CHAT[:1])
