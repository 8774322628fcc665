"""The hook ``wrap_events``: plugins that change or watch an answer, and those that break it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import (
    Event,
    Events,
    Failed,
    Finished,
    PartDelta,
    Record,
    Request,
    Started,
    fold,
    hookimpl,
)
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.errors import Overloaded, UpstreamFailed
from claude_max_proxy.plugin.plugins import Plugins
from tests.scripted import collect, failure, question, scripted_gateway, scripted_runtime


class Shouting:
    """A plugin that changes the text."""

    @hookimpl
    async def wrap_events(self, events: Events) -> AsyncIterator[Event]:
        async for event in events:
            yield PartDelta(event.index, event.text.upper()) if isinstance(event, PartDelta) else event


class Suffixed:
    """A plugin that adds to the text, by a plain function that returns an iterator."""

    @hookimpl
    def wrap_events(self, request: Request, events: Events) -> AsyncIterator[Event]:
        return self._add(events, request.state.get("suffix", "-z"))

    async def _add(self, events: Events, suffix: str) -> AsyncIterator[Event]:
        async for event in events:
            yield PartDelta(event.index, event.text + suffix) if isinstance(event, PartDelta) else event


class Coroutine(Suffixed):
    """A plugin that does the same by a coroutine that returns an iterator."""

    @hookimpl
    async def wrap_events(self, events: Events) -> AsyncIterator[Event]:  # type: ignore[override]
        return self._add(events, "-c")


class Watching:
    """A plugin that sees everything and changes nothing."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self.ended = 0

    @hookimpl
    async def wrap_events(self, events: Events) -> AsyncIterator[Event]:
        try:
            async for event in events:
                self.seen.append(event)
                yield event
        finally:
            self.ended += 1


class StayingOut:
    """A plugin that does not wrap this answer."""

    @hookimpl
    def wrap_events(self, events: Events) -> None: ...


class Raising:
    """A plugin that raises after some events, or before any."""

    def __init__(self, error: Exception, after: int = 0, *, at_once: bool = False) -> None:
        self.error, self.after, self.at_once = error, after, at_once

    @hookimpl
    def wrap_events(self, events: Events) -> AsyncIterator[Event]:
        if self.at_once:
            raise self.error
        return self._raise(events)

    async def _raise(self, events: Events) -> AsyncIterator[Event]:
        left = self.after
        async for event in events:
            if not left:
                raise self.error
            left -= 1
            yield event


async def test_an_answer_is_changed(tmp_path: Path) -> None:
    """What a plugin's iterator yields is what the client gets."""
    gateway, _ = scripted_gateway(tmp_path, Shouting())
    assert fold(await collect(gateway, question())).text == "HELLO!"


@pytest.mark.parametrize(
    ("plugins", "text"),
    [
        ([Suffixed(), Shouting()], "HELLO!-Z"),
        ([Shouting(), Suffixed()], "HELLO!-z"),
        ([Coroutine(), StayingOut()], "Hello!-c"),
    ],
)
async def test_around_one_another(tmp_path: Path, plugins: list[Any], text: str) -> None:
    """Iterators are nested in the plugins' order; a plugin that returns None is left out."""
    order = [type(plugin).__name__.lower() for plugin in plugins]
    gateway, _ = scripted_gateway(tmp_path, *plugins, table={"plugins": {"order": order}})
    assert fold(await collect(gateway, question())).text == text


async def test_an_answer_is_watched(tmp_path: Path) -> None:
    """A plugin may see every event and change none; its iterator ends with the answer."""
    watching = Watching()
    gateway, backend = scripted_gateway(tmp_path, watching)
    events = await collect(gateway, question())
    assert events == backend.script == watching.seen
    assert watching.ended == 1


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """If the client disconnects, the plugin's iterator and the backend's answer are closed."""
    watching = Watching()
    gateway, backend = scripted_gateway(tmp_path, watching)
    events = gateway.answer(question(), "test")
    await anext(events)
    await anext(events)
    await events.aclose()
    assert (watching.ended, backend.closed) == (1, 1)


async def test_a_plugin_that_stops_early(tmp_path: Path) -> None:
    """A plugin that ends the answer too early is detected, and the backend's answer is closed."""

    class Stopping:
        @hookimpl
        async def wrap_events(self, events: Events) -> AsyncIterator[Event]:
            yield await anext(events)

    gateway, backend = scripted_gateway(tmp_path, Stopping())
    assert failure(await collect(gateway, question())).status == 500
    assert backend.closed == 1


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_plugin_that_raises(tmp_path: Path, after: int, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that raises in an answer ends it in its name: half an answer cannot be skipped."""
    gateway, backend = scripted_gateway(tmp_path, Raising(KeyError("secret"), after))
    events = await collect(gateway, question())
    error = failure(events)
    assert len(events) == after + 1
    assert (error.status, error.code) == (500, "plugin_failed")
    assert "the plugin 'raising' failed in wrap_events" in error.message
    assert "secret" not in error.message
    assert "KeyError('secret')" in caplog.text
    assert backend.closed == 1


async def test_a_plugin_that_refuses(tmp_path: Path) -> None:
    """A plugin may end an answer by raising one of our errors."""
    gateway, _ = scripted_gateway(tmp_path, Raising(Overloaded("enough"), 2))
    assert failure(await collect(gateway, question())).message == "enough"


async def test_a_plugin_that_fails_to_wrap(tmp_path: Path) -> None:
    """A plugin that fails before it returns an iterator is skipped: the answer is complete without it."""
    gateway, _ = scripted_gateway(tmp_path, Raising(KeyError("x"), at_once=True), Shouting())
    assert fold(await collect(gateway, question())).text == "HELLO!"


@pytest.mark.parametrize("error", [KeyError("x"), UpstreamFailed("x")])
async def test_the_backend_is_to_blame(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """What the backend raises is not blamed on the plugins around its answer."""
    gateway, backend = scripted_gateway(tmp_path, Watching())
    backend.script = [Started("m"), error]
    told = failure(await collect(gateway, question()))
    assert told.code != "plugin_failed"
    assert "plugin 'watching'" not in caplog.text


async def test_a_failure_passes(tmp_path: Path) -> None:
    """A plugin sees a failure as an event, and the record says how the request ended."""
    records: list[Record] = []

    class Recording:
        @hookimpl
        def log_request(self, record: Record) -> None:
            records.append(record)

    watching = Watching()
    gateway, backend = scripted_gateway(tmp_path, watching, Recording())
    error = Overloaded("no")
    backend.script = [Started("m"), Failed(error)]
    await collect(gateway, question())
    assert watching.seen[-1] == Failed(error)
    assert [record.status for record in records] == [503]


async def test_the_record_tells_what_was_sent(tmp_path: Path) -> None:
    """If a plugin ends an answer properly, the answer counts as complete."""

    class Mending:
        @hookimpl
        async def wrap_events(self, events: Events) -> AsyncIterator[Event]:
            async for event in events:
                yield Finished("stop") if isinstance(event, Failed) else event

    gateway, backend = scripted_gateway(tmp_path, Mending())
    backend.script = [Started("m"), Failed(Overloaded("no"))]
    assert (await collect(gateway, question()))[-1] == Finished("stop")


SOURCE = """
import asyncio
from claude_max_proxy import hookimpl

@hookimpl
async def wrap_events(events):
    async for event in events:
        yield event
        raise KeyError("here")

@hookimpl
async def rewrite_request():
    await asyncio.sleep(30)

@hookimpl
def log_request(record):
    return 1 / 0
"""


async def test_errors_say_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin's failure is logged with its name, its file and the line, and counted; a timeout too."""
    runtime = scripted_runtime(tmp_path, {"plugins": {"bad": {"timeout": 0.01}}}, bad=SOURCE)
    await collect(runtime.gateway, question())
    lines = SOURCE.splitlines()
    file = tmp_path / "plugins" / "bad.py"
    for hook, line in (
        ("rewrite_request", "    await asyncio.sleep(30)"),
        ("wrap_events", '        raise KeyError("here")'),
        ("log_request", "    return 1 / 0"),
    ):
        assert f"plugin 'bad' failed in {hook}: " in caplog.text
        assert f'File "{file}", line {lines.index(line) + 1}' in caplog.text
    assert [plugin.failures for plugin in runtime.plugins if plugin.name == "bad"] == [3]


async def test_nobodys_hook_costs_nothing() -> None:
    """Without a plugin that wraps, the events are exactly the iterator that the backend returned."""
    events = Watching().wrap_events(events=None)  # type: ignore[arg-type]
    assert await Plugins([], PluginsConfig()).wrap_events(question(), events) is events  # type: ignore[arg-type]
