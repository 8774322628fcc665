"""The conformance suite: over every built-in dialect and the backends that need no CLI, and what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import (
    Backend,
    Dialect,
    Event,
    Failed,
    Finished,
    InvalidRequest,
    Message,
    NotFound,
    Overloaded,
    PartDelta,
    PartEnded,
    PartStarted,
    ProxyError,
    Request,
    Route,
    Started,
    Text,
)
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.drop_ins import DropIns
from claude_max_proxy.plugins import Plugins, load_built_ins
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
    """Every client API that is built in."""
    dialects: dict[str, Dialect] = {}
    Plugins(load_built_ins(), PluginsConfig()).register_dialects(
        lambda dialect: dialects.update({dialect.name: dialect})
    )
    return dialects


def backend_of(folder: Path, type_: str) -> Callable[[], Any]:
    """What makes a backend of a type that a drop-in offers."""
    made: dict[str, Callable[[], Backend]] = {}

    def register(name: str, settings: Any, build: Any) -> None:
        made[name] = lambda: build("mine", settings())

    Plugins(DropIns([folder]).plugins(), PluginsConfig()).register_backends(register)
    return made[type_]


@pytest.mark.parametrize("name", built_in_dialects())
def test_every_built_in_dialect(name: str) -> None:
    """Every built-in dialect keeps the contract, and has samples here."""
    check_dialect(built_in_dialects()[name], SAMPLES[name], tools=name not in WITHOUT_TOOLS)


async def test_the_echo() -> None:
    """The echo drop-in is a whole backend."""
    await check_backend(backend_of(ROOT / "plugins", "echo"))


CALL: list[Any] = [
    Started("m"),
    PartStarted(0, "tool_call", "call1", "look"),
    PartDelta(0, "{}"),
    PartEnded(0),
    Finished("tool_calls"),
]


def scripted(make: Callable[[], Any], by_text: dict[str, list[Any]]) -> Callable[[], Any]:
    """A scripted backend that answers some texts by scripts of their own."""

    def build() -> Any:
        backend = make()
        usual, answer = backend.script, backend.answer

        def chosen(request: Request, model: str) -> Any:
            backend.script = by_text.get(request.messages[-1].parts[0].text, usual)
            return answer(request, model)

        backend.answer = chosen
        return backend

    return build


def asking(text: str) -> Request:
    """A request of these words."""
    return Request("m", messages=[Message("user", [Text(text)])])


@pytest.mark.parametrize("failure", [Overloaded("no"), Failed(Overloaded("no"))])
async def test_the_scripted_backend(tmp_path: Path, failure: Any) -> None:
    """Tool calls and failures, raised or told, are checked where a backend has them."""
    make = scripted(
        backend_of(plugin_folder(tmp_path), "scripted"), {"call": CALL, "fail": [Started("m"), failure]}
    )
    await check_backend(make, calling=asking("call"), failing=asking("fail"))


# --- what it finds


class Broken:
    """A sound backend, to be broken in one place."""

    def __init__(self, **broken: Any) -> None:
        self._events: list[Any] = broken.pop("events", None) or [
            Started("m"),
            PartStarted(0, "text"),
            PartDelta(0, "x"),
            PartEnded(0),
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
        from claude_max_proxy import ModelInfo

        return ModelInfo(model)

    def health(self) -> Any:
        return {"status": "ok"}


async def never() -> None:
    """Does not end."""
    await asyncio.sleep(3600)


async def changes(request: Request, model: str) -> Any:
    """An answer that changes its request."""
    request.messages.append(Message("assistant", [Text("x")]))
    for event in (Started("m"), Finished("stop")):
        yield event


def connects(_: str) -> Any:
    """A description that is looked up elsewhere."""
    import socket

    from claude_max_proxy import ModelInfo

    with socket.socket() as connection:
        connection.connect_ex(("127.0.0.1", 9))
    return ModelInfo("m")


async def begins() -> None:
    """A start that leaves something running."""
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
        ({"honours": {"sed"}}, r"honours \['sed'\], which no request carries"),
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
    """What is no failure of ours comes out as it is."""
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
    """A writer of which one method is broken."""

    def __init__(self, writer: Any, **broken: Any) -> None:
        self._writer, self._broken = writer, broken

    def __getattr__(self, name: str) -> Any:
        return self._broken.get(name) or getattr(self._writer, name)


class BrokenDialect(OpenAIChat):
    """The chat dialect, broken in one place."""

    def __init__(self, **broken: Any) -> None:
        self._writes = {name: broken.pop(name) for name in ("write", "whole", "keep_alive") if name in broken}
        for name, value in broken.items():
            setattr(self, name, value)

    def writer(self, request: Request) -> Any:
        return BrokenWriter(super().writer(request), **self._writes)


def raises(error: Exception) -> Callable[..., Any]:
    """What just raises."""

    def fail(*_: Any) -> Any:
        raise error

    return fail


def reads(body: bytes) -> Request:
    """Reading that takes anything."""
    return Request("m")


def refuses_without_a_field(body: bytes) -> Request:
    """Reading whose refusals name no field."""
    try:
        return OpenAIChat().read(body)
    except ProxyError as error:
        raise InvalidRequest(error.message) from error


def writes_once(event: Event) -> bytes:
    """Writing that loses everything."""
    return b""


ONE = BrokenWriter(OpenAIChat().writer(Request("m")))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"name": ""}, "has a name"),
        ({"routes": ()}, "has routes"),
        ({"routes": ("v1",)}, "begins with /"),
        ({"body": Request}, "is not what its samples are"),
        ({"read": reads}, "was taken|was read as"),
        ({"read": refuses_without_a_field}, "no field is named"),
        ({"read": lambda body: __import__("json").loads(body)}, "which is no Request"),
        ({"write": writes_once}, "streams as"),
        ({"whole": lambda reply: b"{}"}, "lacks the text"),
        ({"keep_alive": lambda: b""}, "must see something"),
        ({"error": lambda error: b"{}"}, "lacks"),
        ({"writer": lambda request: ONE}, "writer of its own"),
    ],
)
def test_a_broken_dialect(broken: dict[str, Any], message: str) -> None:
    """A dialect that breaks a rule fails with that rule."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(BrokenDialect(**broken), CHAT)


class BrokenMore(OpenAIResponses):
    """A dialect with more than answers, whose parts a test replaces."""

    def __init__(self, routes: tuple[Route, ...] = (), resume: Any = None) -> None:
        """Be whole but for what is given."""
        super().__init__()
        self._routes = routes
        if resume is not None:
            self.resume = resume  # type: ignore[method-assign]

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """What is given."""
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
    """Further routes and a memory have rules of their own, and one that is broken is named."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(broken, RESPONSES)


def test_a_dialect_that_crashes() -> None:
    """A body must be refused by one of our errors, whatever is wrong with it."""

    def read(body: bytes) -> Request:
        if b"m" not in body:
            raise ValueError(body[:9])
        return OpenAIChat().read(body)

    with pytest.raises(AssertionError, match="must be refused by a ClientError, not"):
        check_dialect(BrokenDialect(read=read), CHAT[:1])
