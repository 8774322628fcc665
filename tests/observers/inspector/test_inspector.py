"""The inspector itself: its time, its bounds, and whom it listens to."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from claude_max_proxy import (
    Client,
    Event,
    Finished,
    Message,
    PartStarted,
    Record,
    Request,
    Text,
    complete_part,
)
from claude_max_proxy.observers.inspector import inspector as module
from claude_max_proxy.observers.inspector.inspector import MOST_BYTES, MOST_REQUESTS, Inspector


class Clocks:
    """Both clocks of a machine; one stands still while it sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.awake = 5.0

    def time(self) -> float:
        """Return the time of day."""
        return self.now

    def monotonic(self) -> float:
        """Return the seconds in which the machine was awake."""
        return self.awake

    def __getattr__(self, name: str) -> Any:
        import time

        return getattr(time, name)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Let a test say what the time is."""
    made = Clocks()
    monkeypatch.setattr(module, "time", made)
    return made


def request(id: str, text: str = "hi", model: str = "claude-opus-4", key: str = "") -> Request:
    """Return a request that says something."""
    return Request(model, messages=[Message("user", [Text(text)])], id=id, client=Client(key))


async def answer(text: str = "hello") -> AsyncGenerator[Event, None]:
    """Answer with a text."""
    for event in complete_part(PartStarted(0, "text"), text):
        yield event
    yield Finished("stop")


async def pass_through(inspector: Inspector, asked: Request, text: str = "hello") -> None:
    """Let a request come, be answered and end."""
    inspector.take(asked)
    if (events := inspector.listen(asked, answer(text))) is not None:
        assert [event async for event in events][-1] == Finished("stop")
    inspector.close(Record("m", id=asked.id, status=200, ending="completed", dialect="openai-chat"))


async def test_it_is_off(caplog: pytest.LogCaptureFixture) -> None:
    """Until somebody switches it on, nothing is held and nothing is said."""
    inspector = Inspector()
    await pass_through(inspector, request("1"))
    inspector.end("me")
    inspector.stop("nothing was on")
    assert (inspector.is_on, inspector.state(), inspector.requests(), inspector.request("1")) == (
        False,
        None,
        [],
        None,
    )
    assert caplog.records == []


async def test_it_is_on(caplog: pytest.LogCaptureFixture) -> None:
    """A request and its answer are held until somebody ends it, and the log says who did what."""
    inspector = Inspector()
    inspector.begin(60, "me", model="claude-*")
    await pass_through(inspector, request("1", "a secret word"))
    await pass_through(inspector, request("2", model="gpt"))
    (held,) = inspector.requests()
    assert held.came.pieces[-1].text == "a secret word"
    assert held.sent is None
    assert (held.answer[0].text, held.finish, held.status, held.ending) == ("hello", "stop", 200, "completed")
    assert inspector.request("1") == held
    inspector.end("boss")
    assert inspector.requests() == []
    on, off = caplog.records
    assert on.levelno == off.levelno == logging.WARNING
    assert "the key 'me' has switched it on" in on.getMessage()
    assert "for the model 'claude-*'" in on.getMessage()
    assert off.getMessage().endswith("the key 'boss' has switched it off")
    assert "secret" not in caplog.text


async def test_only_one_key() -> None:
    """Other keys than the one that was chosen are not listened to."""
    inspector = Inspector()
    inspector.begin(60, "me", key="cron")
    for id_, key in (("1", "me"), ("2", "cron"), ("3", "")):
        await pass_through(inspector, request(id_, key=key))
    assert [one.id for one in inspector.requests()] == ["2"]
    inspector.stop("")


@pytest.mark.parametrize("asleep", [False, True])
async def test_the_time_is_over(clocks: Clocks, caplog: pytest.LogCaptureFixture, *, asleep: bool) -> None:
    """When the time is over, by either clock, everything is wiped."""
    inspector = Inspector()
    inspector.begin(60, "")
    await pass_through(inspector, request("1"))
    clocks.now += 59
    assert inspector.state() is not None
    if asleep:
        clocks.now += 1
    else:
        clocks.awake += 60
    assert inspector.request("1") is None
    assert not inspector.is_on
    assert "its time is over" in caplog.records[-1].getMessage()


async def test_it_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody has to look for it to end."""
    inspector = Inspector()
    inspector.begin(0.05, "")
    await pass_through(inspector, request("1"))
    async with asyncio.timeout(10):
        while inspector._timer is not None:  # noqa: ASYNC110  # it has no event of its own
            await asyncio.sleep(0.01)
    assert inspector._entries == {}
    assert "its time is over" in caplog.records[-1].getMessage()


async def test_changes_are_seen() -> None:
    """What a plugin changes is there twice: as it came, and as it was sent; what it leaves is there once."""
    inspector = Inspector()
    inspector.begin(60, "")
    asked = request("1", "my password")
    inspector.take(asked)
    asked.messages[0].parts[0] = Text("my [redacted]")
    assert inspector.listen(asked, answer()) is not None
    held = inspector.request("1")
    assert held is not None
    assert held.sent is not None
    assert (held.came.pieces[-1].text, held.sent.pieces[-1].text) == ("my password", "my [redacted]")
    assert held.sent.pieces[0] is held.came.pieces[0]
    inspector.stop("")


async def test_only_the_last_are_held() -> None:
    """The oldest make room for the newest, by number."""
    inspector = Inspector()
    inspector.begin(60, "")
    for number in range(MOST_REQUESTS + 5):
        await pass_through(inspector, request(str(number)))
    ids = [int(one.id) for one in inspector.requests()]
    assert ids == list(range(MOST_REQUESTS + 4, 4, -1))
    inspector.stop("")


async def test_the_memory_is_bounded() -> None:
    """The oldest make room for the newest, by their size, also while an answer arrives."""
    inspector = Inspector()
    inspector.begin(60, "")
    for number in range(MOST_REQUESTS):
        text = "\N{PILE OF POO}" * 100_000  # four bytes each
        asked = request(str(number), text)
        asked.messages *= 4
        inspector.take(asked)
        asked.system = text
        events = inspector.listen(asked, answer(text))
        assert events is not None
        async for _ in events:
            assert sum(entry.size for entry in inspector._entries.values()) <= MOST_BYTES
    assert 1 <= len(inspector.requests()) < MOST_REQUESTS
    assert inspector.requests()[0].id == str(MOST_REQUESTS - 1)
    inspector.stop("")


async def test_counts_and_embeddings_are_not_held() -> None:
    """What has no answer in words does not push out what has."""
    inspector = Inspector()
    inspector.begin(60, "")
    for dialect in ("anthropic-messages-count", "openai-embeddings"):
        inspector.take(request("1"))
        inspector.close(Record("m", id="1", dialect=dialect))
    assert inspector.requests() == []
    inspector.stop("")


async def test_an_answer_goes_on_when_all_is_wiped() -> None:
    """Who is being answered notices nothing, and of the rest of the answer nothing is held."""
    inspector = Inspector()
    inspector.begin(60, "")
    asked = request("1", "a secret word")
    inspector.take(asked)
    entry = weakref.ref(inspector._entries["1"])
    piece = weakref.ref(inspector._entries["1"]._hearing)
    events = inspector.listen(asked, answer("another secret word"))
    assert events is not None
    first = await anext(events)
    inspector.end("")
    assert first == PartStarted(0, "text")
    assert [event async for event in events][-1] == Finished("stop")
    left = entry()
    assert left is None or (left.size, left.held().answer, left.held().came.pieces) == (0, (), ())
    del left, events
    gc.collect()
    assert entry() is None
    assert piece() is None
