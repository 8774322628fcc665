"""Why a conversation did not go on where it was, as plain data, and through the backend with the fake CLI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import Client, Message, Request, Started, Text
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.fingerprint import Bound, bound, mark
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.traces import NOT_KNOWN, Trace, Traces, reason, shortened
from claude_max_proxy.backends.claude_cli.transcript import marks_of
from tests.backends.claude_cli.asking import ask, asking, events_of, heard
from tests.backends.claude_cli.conftest import MakeBackend
from tests.backends.claude_cli.test_transcript import message


ME = Client("key", session="1")
KIND = ProcessKind("opus")
BOUND = bound(Request("m", system="be brief"), KIND)


def trace(words: str, **fields: Any) -> Trace:
    """Return the trace of a conversation."""
    marks = shortened(mark(message(word)) for word in words.split())
    return Trace(**{"owner": ME, "bound": BOUND, "marks": marks, **fields})


def why(asked: str, *traces: Trace, client: Client = ME, bound: Bound = BOUND) -> str:
    """Return the reason for a request."""
    messages = [message(word) for word in asked.split()]
    return reason(traces, client, bound, marks_of(messages), len(messages))


def told(**fields: Any) -> Bound:
    """Return what binds a process of a request with other fields."""
    return bound(Request(**{"model": "m", "system": "be brief", **fields}), KIND)


@pytest.mark.parametrize(
    ("asked", "traces", "words"),
    [
        ("u1", [], ""),
        ("u1", [trace("u1 a1")], ""),
        ("u1 a1 u2", [], NOT_KNOWN),
        ("u1 a1 u2", [trace("u9 a9")], NOT_KNOWN),
        ("u1 a1 u2", [trace("u1 a1", busy=True)], "process was busy"),
        ("u1 a1 u2", [trace("u1 a1", ended="idle")], "process ended (idle)"),
        ("u1 a1 u2", [trace("u1 a1", open_calls=True)], "open tool calls could not be answered in place"),
        ("u1 a1 u2", [trace("u1 a1 u3 a3")], "history differs at message 3"),
        ("u1 a1 u2", [trace("u1 a1 u2 a2")], "history differs at message 3"),
        ("u1 a8 u2", [trace("u1 a1 u2 a2")], "history differs at message 2"),
        (
            "u1 a1 u2",
            [trace("u1 a1 u2 a2", worn=True)],
            "history differs at message 3, and its process is worn",
        ),
        (
            "u1 a1 u2",
            [trace("u1 a1 u3"), trace("u1 a1", ended="crowded out")],
            "history differs at message 3",
        ),
        ("u1 a1 u2 a2 u3", [trace("u1 a1 u9"), trace("u1 a1 u2 a2", ended="idle")], "process ended (idle)"),
    ],
)
def test_the_history(asked: str, traces: list[Trace], words: str) -> None:
    """The conversation that has most in common with the request says why it does not go on there."""
    assert why(asked, *traces) == words


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (told(system="be long"), "instructions changed"),
        (told(response_schema={"type": "object"}), "answer schema changed"),
        (bound(Request("m", system="be brief"), ProcessKind("haiku")), "model changed"),
        (BOUND, "process ended (idle)"),
    ],
)
def test_what_binds(bound: Bound, words: str) -> None:
    """What a process can be told only once comes before anything about the history."""
    assert why("u1 a1 u2", trace("u1 a1", ended="idle"), bound=bound) == words
    if bound != BOUND:
        assert why("u1 a7 u2", trace("u1 a1", ended="idle"), bound=bound) == words


def test_another_key() -> None:
    """A conversation of another key is told as that, and nothing else about it; one's own comes first."""
    theirs = trace("u1 a1", owner=Client("other"), bound=told(system="secret"))
    assert why("u1 a1 u2", theirs) == "another API key"
    assert why("u1 a1 u2", theirs, trace("u1 a1", ended="idle")) == "process ended (idle)"


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20), st.booleans()), max_size=600))
def test_bounds(steps: list[tuple[int, int, bool]]) -> None:
    """However many conversations there were, only so many are remembered, and only so much of each."""
    traces = Traces()
    for pid, length, ends in steps:
        traces.keep(pid, Trace(ME, BOUND, tuple(b"x" * 32 for _ in range(length * 50))))
        traces.take(pid, goes_on=bool(length % 2))
        if ends:
            traces.end(pid, "idle")
    assert len(traces._ended) <= 200
    assert len(traces._running) <= len({pid for pid, *_ in steps})
    assert all(len(one.marks) <= 500 and all(len(mark) == 8 for mark in one.marks) for one in traces._ended)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_process_without_a_conversation(goes_on: bool) -> None:
    """A process that nobody has asked before holds nothing that could be remembered as lost."""
    traces = Traces()
    traces.take(1, goes_on=goes_on)
    assert (list(traces._running), list(traces._ended)) == ([], [])


# --- through the backend


async def replayed(backend: ClaudeCli, *messages: str | Message, model: str = "sonnet", **fields: Any) -> str:
    """Ask, and return why it was replayed; it must be live if there is no reason but a new conversation."""
    (started, *_) = await events_of(backend, asking(*messages, **fields), model)
    assert isinstance(started, Started)
    assert started.live == (not started.replayed and len(messages) > 1)
    return started.replayed


async def test_through_the_backend(backend: ClaudeCli) -> None:
    """The reason is in the first event of the answer."""
    first = heard(await ask(backend, "one", system="a"))
    assert await replayed(backend, "one", first, "two", system="a") == ""
    second = Message("assistant", [Text("You said: two")])
    known: tuple[str | Message, ...] = ("one", first, "two", second)
    assert await replayed(backend, *known, "three", system="b") == "instructions changed"
    assert await replayed(backend, *known, "three", model="opus", system="a") == "model changed"
    assert await replayed(backend, "one", first, "other", system="a") == "history differs at message 3"
    assert await replayed(backend, "never said", first, "two", system="zzz") == NOT_KNOWN
    mine = Client("me")
    assert await replayed(backend, "one", first, "other", system="a", client=mine) == "another API key"


async def test_a_busy_process(backend: ClaudeCli) -> None:
    """The same conversation asked twice at a time goes on in place once."""
    first = heard(await ask(backend, "one"))
    events = backend.answer(asking("one", first, "[[pace 0.05]] two"), "sonnet")
    started = await anext(events)
    assert isinstance(started, Started)
    assert started.live
    assert await replayed(backend, "one", first, "three") == "process was busy"
    await events.aclose()


async def test_a_process_that_has_ended(make_backend: MakeBackend) -> None:
    """A conversation whose process was ended for another one, or died, says so."""
    backend = make_backend(max_processes=1)
    await backend.start()
    first = heard(await ask(backend, "one"))
    await ask(backend, "else", model="opus")
    assert await replayed(backend, "one", first, "two") == "process ended (crowded out)"
    (process,) = [one for one in backend._pool.processes if one not in backend._pool.ending]
    process.kill()
    await asyncio.wait_for(process.exited.wait(), 5)
    second = Message("assistant", [Text("You said: two")])
    assert await replayed(backend, "one", first, "two", second, "three") == "process ended (by itself)"
