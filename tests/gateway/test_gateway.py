"""One request on its way through the hooks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import (
    Client,
    Failed,
    Finished,
    InvalidRequest,
    NotFound,
    PartDelta,
    PartStarted,
    Record,
    Request,
    Started,
    Target,
    Usage,
    fold,
    hookimpl,
)
from claude_max_proxy.errors import InternalError, Overloaded
from tests.scripted import SILENCE, collect, failure, question, scripted_gateway


class Observer:
    """A plugin that keeps the records that it gets."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    @hookimpl
    async def log_request(self, record: Record) -> None:
        self.records.append(record)

    @property
    def record(self) -> Record:
        """Return the only record."""
        assert len(self.records) == 1
        return self.records[0]


class Mapper:
    """A plugin that maps every model to ``answer``."""

    def __init__(self, answer: Target | str) -> None:
        self.answer = answer

    @hookimpl
    def map_model(self, request: Request) -> Target | str:
        return self.answer


class Selector:
    """A plugin that sends every request to ``answer``."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer

    @hookimpl
    def select_backend(self) -> str | None:
        return self.answer


class Rewriter:
    """A plugin that changes the instructions, or raises ``error``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    @hookimpl
    def rewrite_request(self, request: Request) -> None:
        if self.error is not None:
            raise self.error
        request.system += "!"


async def test_an_answer(tmp_path: Path) -> None:
    """The backend's events pass unchanged, and the record describes them."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    backend.script[0] = Started("upstream-model", live=True, queued=0.5)
    events = await collect(gateway, question("claude-opus-4", stream=True, client=Client("me")))
    assert backend.script == events
    assert fold(events).text == "Hello!"
    record = observer.record
    assert (record.model, record.backend, record.upstream_model) == ("claude-opus-4", "claude", "opus")
    assert (record.status, record.usage, record.error) == (200, Usage(3, 2), "")
    assert (record.live, record.queued, record.stream) == (True, 0.5, True)
    assert (record.dialect, record.client) == ("test", Client("me"))
    assert record.first_token is not None
    assert 0 <= record.first_token <= record.total


@pytest.mark.parametrize(
    ("model", "hint"),
    [("claude-opus-5x", None), ("gpt-4o", "known here: "), ("sonet", "did you mean 'sonnet'?")],
)
async def test_a_model_that_nobody_knows(tmp_path: Path, model: str, hint: str | None) -> None:
    """An unknown model is a 404 with the code model_not_found that suggests a known model."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    events = await collect(gateway, question(model))
    if hint is None:
        assert backend.asked[0][1] == model
        return

    error = failure(events)
    assert isinstance(error, NotFound)
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert hint in error.message
    assert backend.asked == []
    assert (observer.record.status, observer.record.backend) == (404, "")


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_bug_in_a_backend(tmp_path: Path, after: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a backend raises ends the answer as our fault; it is logged, and not shown to the client."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    backend.script[after:] = [KeyError("secret")]
    events = await collect(gateway, question())
    error = failure(events)
    assert isinstance(error, InternalError)
    assert len(events) == after + 1
    assert "secret" not in error.message
    assert "KeyError: 'secret'" in caplog.text
    assert (observer.record.status, backend.closed) == (500, 1)


@pytest.mark.parametrize("raised", [True, False])
async def test_a_failure_is_an_event(tmp_path: Path, raised: bool) -> None:
    """A backend may raise its error or yield it as an event: the client sees the same."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    error = Overloaded("too much", retry_after=3)
    backend.script = [error if raised else Failed(error)]
    events = await collect(gateway, question())
    assert events == [Failed(error)]
    assert (observer.record.status, observer.record.error) == (503, "too much")


async def test_an_answer_that_just_stops(tmp_path: Path) -> None:
    """A backend that ends without a final event has a bug, and the answer still gets one."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    backend.script = backend.script[:3]
    assert isinstance(failure(await collect(gateway, question())), InternalError)
    assert observer.record.status == 500


@pytest.mark.parametrize("error", [KeyError("late"), Overloaded("late")])
async def test_an_answer_ends_once(tmp_path: Path, error: Exception) -> None:
    """What a backend raises after its last event changes nothing for the client."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    backend.script.append(error)
    events = await collect(gateway, question())
    assert events[-1] == Finished("stop")
    assert observer.record.status == 200


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """Closing the answer closes the backend's, and the record says 499."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    events = gateway.answer(question(), "test")
    assert isinstance(await anext(events), Started)
    assert backend.closed == 0
    await events.aclose()
    assert (backend.closed, observer.record.status) == (1, 499)


async def test_a_client_that_leaves_in_a_silence(tmp_path: Path) -> None:
    """Cancelling the wait for an event cancels the backend's work, and the record says 499."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    backend.script.insert(1, SILENCE)
    task = asyncio.get_running_loop().create_task(collect(gateway, question()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (backend.closed, observer.record.status) == (1, 499)


ENTRY = {"to": "claude/haiku", "effort": "low", "max_tokens": 9, "system": "Be brief."}


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, ("low", 9, "Be brief.")),
        ({"effort": "high"}, ("high", 9, "Be brief.")),
        ({"max_tokens": 5}, ("low", 5, "Be brief.")),
        ({"system": "You are a cat."}, ("low", 9, "Be brief.\n\nYou are a cat.")),
    ],
)
async def test_what_an_entry_sets(tmp_path: Path, fields: dict[str, Any], asked: tuple[Any, ...]) -> None:
    """An entry's effort and limit apply if the client has set none; its instructions come first."""
    gateway, backend = scripted_gateway(tmp_path, table={"models": {"cheap": ENTRY}})
    await collect(gateway, question("cheap", **fields))
    request, model = backend.asked[0]
    assert (request.effort, request.max_tokens, request.system) == asked
    assert (request.model, model) == ("cheap", "haiku")


@pytest.mark.parametrize("answer", ["claude/from-a-plugin", Target("claude", "from-a-plugin", effort="max")])
async def test_a_plugin_maps_the_model(tmp_path: Path, answer: Target | str) -> None:
    """A plugin's map is asked before the built-in one, and may know models that ``[models]`` lacks."""
    gateway, backend = scripted_gateway(tmp_path, Mapper(answer))
    await collect(gateway, question("unheard-of"))
    request, model = backend.asked[0]
    assert model == "from-a-plugin"
    assert request.effort == (answer.effort if isinstance(answer, Target) else None)


@pytest.mark.parametrize(
    ("answer", "model"), [(None, "sonnet"), ("claude", "sonnet"), ("claude/other", "other")]
)
async def test_a_plugin_selects_the_backend(tmp_path: Path, answer: str | None, model: str) -> None:
    """A plugin may change where a request goes, by a backend's name with or without a model."""
    gateway, backend = scripted_gateway(tmp_path, Selector(answer))
    await collect(gateway, question())
    assert backend.asked[0][1] == model


@pytest.mark.parametrize("plugin", [Selector("none"), Selector("none/x"), Mapper("none/x")])
async def test_a_plugin_chooses_what_is_not_there(tmp_path: Path, plugin: Any) -> None:
    """A plugin that names an unknown backend is our fault, not the client's."""
    gateway, _ = scripted_gateway(tmp_path, plugin)
    error = failure(await collect(gateway, question()))
    assert (error.status, "'none'" in error.message) == (500, True)


async def test_plugins_rewrite_after_the_entry(tmp_path: Path) -> None:
    """A plugin sees the request with its entry's settings, and the backend sees the plugin's changes."""
    gateway, backend = scripted_gateway(tmp_path, Rewriter(), table={"models": {"cheap": ENTRY}})
    await collect(gateway, question("cheap"))
    assert backend.asked[0][0].system == "Be brief.!"


async def test_a_plugin_refuses(tmp_path: Path) -> None:
    """If a plugin refuses a request, the client gets the error, and the backend is not asked."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, Rewriter(InvalidRequest("not here")), observer)
    assert failure(await collect(gateway, question())).message == "not here"
    assert (backend.asked, observer.record.status) == ([], 400)


async def test_a_plugin_that_breaks_is_skipped(tmp_path: Path) -> None:
    """A plugin's bug costs only what the plugin would have done."""
    gateway, _ = scripted_gateway(tmp_path, Rewriter(KeyError("x")))
    assert fold(await collect(gateway, question())).text == "Hello!"


async def test_the_first_token_is_a_part(tmp_path: Path) -> None:
    """An answer without any part has no first token."""
    observer = Observer()
    gateway, backend = scripted_gateway(tmp_path, observer)
    backend.script = [Started("m"), Finished("stop")]
    await collect(gateway, question())
    assert observer.record.first_token is None
    backend.script = [Started("m"), PartStarted(0, "text"), 0.01, PartDelta(0, "x"), Overloaded("x")]
    await collect(gateway, question())
    second = observer.records[1]
    assert second.first_token is not None
    assert second.first_token <= second.total - 0.005
