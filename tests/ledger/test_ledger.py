"""What goes into the ledger comes out of it, from SQLite and from PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claude_max_proxy import Record, Usage
from claude_max_proxy.ledger import Ledger, Where
from tests.ledger.rows import HOUR, START, record


@pytest.fixture
async def ledger(url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    """Return an empty ledger, which keeps everything."""
    opened = Ledger(url, 0, folder=tmp_path / "waiting")
    yield opened
    await opened.close()


async def fill(ledger: Ledger, *records: Record) -> None:
    """Add records, and wait until they are written."""
    for one in records:
        ledger.add(one)
    await ledger.flush()


async def test_a_request_is_kept_as_it_was(ledger: Ledger) -> None:
    """Every field of a record comes back, except what may quote a client."""
    given = record(
        START + 5.5,
        "alice",
        "opus",
        id="req-1",
        upstream_model="claude-opus-4-5",
        backend="claude",
        status=429,
        dialect="openai-chat",
        stream=True,
        live=True,
        first_token=0.5,
        total=2.0,
        queued=0.1,
        error="the client said: secret words",
        session="s",
        program="curl",
    )
    await fill(ledger, given)
    kept = await ledger.request("req-1")
    assert kept is not None
    assert (kept.key, kept.program, kept.session) == ("alice", "curl", "s")
    for name in ("id", "began", "model", "upstream_model", "backend", "status", "dialect", "stream", "live"):
        assert getattr(kept, name) == getattr(given, name), name
    assert (kept.first_token, kept.total, kept.queued) == (0.5, 2.0, 0.1)
    assert (kept.input_tokens, kept.output_tokens, kept.cache_read_tokens) == (10, 5, 30)
    assert kept.price == pytest.approx(12 * 0 + 10 * 5e-6 + 5 * 25e-6 + 30 * 0.5e-6 + 2 * 6.25e-6)
    assert "secret words" not in repr(kept)
    assert await ledger.request("req-2") is None


async def test_a_request_counts_once(ledger: Ledger) -> None:
    """A record that comes twice, as when a batch is written again, is one row."""
    given = record(key="alice")
    await fill(ledger, given, given)
    await fill(ledger, given)
    assert [one.id for one in await ledger.requests()] == [given.id]
    assert (await ledger.spent(0)).requests == 1


async def test_pages_are_whole(ledger: Ledger) -> None:
    """Requests come the newest first; pages leave none out and repeat none, also at equal times."""
    given = [record(START + number // 3) for number in range(20)]
    await fill(ledger, *given)
    pages, before = [], None
    while page := await ledger.requests(limit=7, before=before):
        pages += page
        before = page[-1].cursor
    assert [one.id for one in pages] == [
        one.id for one in sorted(given, key=lambda one: (one.began, one.id))
    ][::-1]
    assert [one.id async for one in ledger.export()] == [one.id for one in pages]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), {"a", "b", "c", "d"}),
        (Where(key="alice"), {"a", "b"}),
        (Where(key="alice", model="opus"), {"a"}),
        (Where(outcome="failed"), {"c"}),
        (Where(outcome="left"), {"d"}),
        (Where(outcome="ok"), {"a", "b"}),
        (Where(session="s"), {"b"}),
        (Where(since=START + 1, until=START + 3), {"b", "c"}),
    ],
)
async def test_requests_are_filtered(ledger: Ledger, where: Where, expected: set[str]) -> None:
    """Only what matches everything that is asked for is returned, and added up."""
    await fill(
        ledger,
        record(START, "alice", "opus", id="a"),
        record(START + 1, "alice", "haiku", id="b", session="s"),
        record(START + 2, "bob", "opus", id="c", status=500, usage=None),
        record(START + 3, "bob", "opus", id="d", status=499, usage=None),
    )
    assert {one.id for one in await ledger.requests(where)} == expected
    assert (await ledger.spent(0, where)).requests == len(expected)


async def test_sums_by_group(ledger: Ledger) -> None:
    """The groups come with the largest first, and each sum is right."""
    await fill(
        ledger,
        record(START, "alice", "opus", live=True, upstream_model="claude-opus-4-5"),
        record(START + HOUR, "bob", "opus", usage=Usage(1000, 1), upstream_model="no such model"),
        record(START + HOUR, "bob", "opus", status=429, usage=None),
    )
    bob, alice = await ledger.usage("key", START, START + 2 * HOUR)
    assert (alice.group, alice.requests, alice.failures, alice.live, alice.unpriced) == ("alice", 1, 0, 1, 0)
    assert (alice.tokens, alice.cache_share) == (47, 30 / 42)
    assert (bob.group, bob.requests, bob.failures, bob.price, bob.unpriced) == ("bob", 2, 1, 0.0, 1)
    hours = await ledger.usage("hour", START, START + 2 * HOUR)
    assert [(one.start, one.requests) for one in hours] == [(START, 1), (START + HOUR, 2)]
    assert [one.group for one in await ledger.usage("model", START, START + HOUR)] == ["opus"]


@pytest.mark.parametrize(
    "text", ["\x00", "a\nb", "\ud800", "x" * 5000, "💥" * 300, "'; DROP TABLE requests; --"]
)
async def test_odd_texts_are_kept(ledger: Ledger, text: str) -> None:
    """What a client calls a model, itself or a session may be anything; it is stored as printable text."""
    await fill(ledger, record(key=text, model=text, session=text, program=text))
    (kept,) = await ledger.requests()
    assert kept.model.isprintable()
    assert kept.model == kept.key == kept.session == kept.program
    assert 0 < len(kept.model) <= 200
    assert [one.group for one in await ledger.usage("session", 0, 2e9)] == [kept.session]
    for where in (Where(key=text), Where(model=kept.model), Where(session=text)):
        assert (await ledger.spent(0, where)).requests == 1


async def test_by_replica(ledger: Ledger) -> None:
    """Requests can be added up by the proxy that answered them, also those of hours that are summed up."""
    await fill(ledger, record(replica="one"), record(replica="two"), record(replica="one"))
    groups = await ledger.usage("replica", START, START + HOUR)
    assert [(one.group, one.requests) for one in groups] == [("one", 2), ("two", 1)]


async def test_odd_numbers_are_kept(ledger: Ledger) -> None:
    """An upstream may claim any number of tokens; what no database can store is cut."""
    await fill(ledger, record(usage=Usage(10**30, -5, 2**63)))
    assert ledger.state().lost == 0
    assert (await ledger.spent(0)).requests == 1


async def test_questions_at_once(ledger: Ledger) -> None:
    """Many may ask at the same time, while records come in."""
    for _ in range(50):
        ledger.add(record())
    found = await asyncio.gather(*(ledger.spent(0) for _ in range(20)))
    assert {one.requests for one in found} == {50}


async def test_the_state(ledger: Ledger) -> None:
    """The state says what is written; nothing waits after a flush."""
    await fill(ledger, record(), record())
    state = ledger.state()
    assert (state.written, state.waiting, state.lost, state.away) == (2, 0, 0, "")


async def test_a_question_sees_what_was_added_before_it(ledger: Ledger) -> None:
    """Records that come while others are being written are in the next answer, too."""
    number = 0
    for _ in range(30):
        for _ in range(40):
            ledger.add(record())
            number += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert (await ledger.spent(0)).requests == number


async def test_a_question_that_cannot_be(ledger: Ledger) -> None:
    """Whoever asks nonsense gets an exception; the ledger goes on."""
    await fill(ledger, record())
    with pytest.raises(KeyError):
        await ledger.usage("colour", 0, 2e9)  # type: ignore[arg-type]  # that is the nonsense
    assert ledger.state().away == ""
    assert (await ledger.spent(0)).requests == 1
