"""Budgets in the proxy, with a scripted provider: on every route, in parallel, and after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Client, Record, Usage
from claude_max_proxy.observers import budgets
from claude_max_proxy.observers.budgets import loading
from claude_max_proxy.observers.budgets.account import Cost
from claude_max_proxy.observers.budgets.book import Book
from claude_max_proxy.observers.budgets.settings import Budget, Settings
from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, limit_headers, words
from tests.end_to_end.running import until
from tests.observers.house import House, serving


KEYS = """
[server.api_keys]
cron = "secret-1"
me = "secret-2"
"""


@pytest.fixture(autouse=True)
def _nothing_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without what the tests before have used."""
    monkeypatch.setattr(budgets._Holder, "book", Book())


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    """The scripted API."""
    async with ScriptedUpstream() as upstream:
        yield upstream


def used(kind: Any, name: str) -> int:
    """Return the tokens of today on an account."""
    return budgets._Holder.book.accounts[kind, name].used("day", time.time()).tokens


async def test_used_up(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """A key with a used-up budget gets a 429 with the numbers; other keys are served."""
    more = KEYS + "[plugins.budgets.keys.cron]\ntokens_per_day = 20\n"
    async with serving(tmp_path, upstream, more) as house:
        answers = [await house.ask(key="secret-1") for _ in range(4)]
        statuses = [answer.status_code for answer in answers]
        assert statuses == [200] * statuses.count(200) + [429] * statuses.count(429)
        assert 1 <= statuses.count(200) <= 3
        refused = answers[-1]
        spent = used("key", "cron")
        assert spent == sum(one.json()["usage"]["total_tokens"] for one in answers if one.status_code == 200)
        error = refused.json()["error"]
        assert error["code"] == "budget_spent"
        assert error["message"] == (f"the budget of the key 'cron' is used up: {spent} of 20 tokens a day")
        assert 0 < int(refused.headers["retry-after"]) <= 90_000
        assert refused.headers["x-should-retry"] == "false"
        assert (await house.ask(key="secret-2")).status_code == 200
        assert upstream.count == statuses.count(200) + 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"input": "hi"}),
        ("/v1/messages", {"max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/embeddings", {"input": "hi"}),
        ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hi"}]}),
    ],
)
async def test_every_route(
    path: str, body: dict[str, Any], stream: bool, tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """A budget holds on every route, and each dialect says so in its own envelope."""
    more = '[plugins.budgets.models."b*g"]\ntokens_per_hour = 1\n'
    streams = {"stream": True} if stream and "count" not in path and "embed" not in path else {}
    async with serving(tmp_path, upstream, more) as house:
        assert (await house.ask()).status_code == 200
        answer = await house.http.post(path, json={"model": "big", **body, **streams})
        assert answer.status_code == 429, answer.text
        assert "the budget of the model 'b*g' is used up" in answer.text
        assert int(answer.headers["retry-after"]) <= 3600
        assert upstream.count == 1
        assert (await house.ask(model="small")).status_code == 200


async def test_in_parallel(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Fifty requests at once never use more than the budget and what was running."""
    more = KEYS + "[plugins.budgets.keys.cron]\ntokens_per_day = 3000\n"
    upstream.answer_with(lambda _: Reply((Text(words(100)),), pace=0.002))
    async with serving(tmp_path, upstream, more) as house:
        for _ in range(3):  # so that the length of an answer is known
            await house.ask(key="secret-1")
        one = used("key", "cron") / 3
        statuses: list[int] = []
        for _ in range(4):
            answers = await asyncio.gather(*(house.ask(key="secret-1", stream=True) for _ in range(50)))
            statuses += [answer.status_code for answer in answers]
            if used("key", "cron") >= 3000:
                break
        assert set(statuses) == {200, 429}
        assert 3000 - 2 * one <= used("key", "cron") <= 3000 + one
        assert upstream.count == statuses.count(200) + 3
        assert budgets._Holder.book._held == {}


async def test_parallel_without_experience(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Even if nothing is known of a model's answers, at most what was running is used beyond the budget."""
    more = "[plugins.budgets.backends.api]\ntokens_per_day = 500\ndollars_per_day = 100\n"
    upstream.answer_with(lambda _: Reply((Text(words(400)),)))
    async with serving(tmp_path, upstream, more) as house:
        answers = await asyncio.gather(*(house.ask() for _ in range(50)))
        served = [answer for answer in answers if answer.status_code == 200]
        assert len(served) == 1
        held = [answer for answer in answers if answer.status_code == 429]
        assert any("held for one running request" in answer.text for answer in held)
        assert all(answer.headers["retry-after"] for answer in held)


async def test_money(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """A budget in dollars counts what the tokens cost by the provider's API."""
    more = '[plugins.budgets.models."*"]\ndollars_per_month = 0.0001\n'
    async with serving(tmp_path, upstream, more) as house:
        statuses = [(await house.ask(text="hi " * 50)).status_code for _ in range(3)]
        assert statuses == [200, 429, 429]
        assert "of $0.0001 a month" in (await house.ask()).text


async def test_everybody_can_see_them(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """The metrics and the status of the proxy show how much of each budget is used."""
    more = '[plugins.budgets.models."*"]\ntokens_per_day = 1000\n\n'
    more += "[plugins.budgets.backends.api]\ndollars_per_hour = 5\ntokens_per_minute = 2000\n"
    async with serving(tmp_path, upstream, more) as house:
        answer = (await house.ask()).json()
        tokens = answer["usage"]["total_tokens"]
        shown = (await house.http.get("/status")).json()["budgets"]
        assert [(one["kind"], one["name"], one["unit"], one["period"], one["limit"]) for one in shown] == [
            ("model", "*", "tokens", "day", 1000),
            ("backend", "api", "tokens", "minute", 2000),
            ("backend", "api", "dollars", "hour", 5),
        ]
        assert [one["used"] for one in shown[:2]] == [tokens, tokens]
        assert shown[2]["used"] > 0
        assert {one["reserved"] for one in shown} == {0}
        metrics = (await house.http.get("/metrics")).text
        labels = 'kind="model",name="*",period="day",unit="tokens"'
        assert f"budget_used_ratio{{{labels}}} {tokens / 1000}" in metrics


async def test_after_a_restart(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """What was used before a restart is read from the ledger."""
    more = KEYS + (
        "[plugins.budgets.keys.cron]\ntokens_per_day = 20\n"
        '[plugins.budgets.models."b*"]\ntokens_per_month = 100000\n'
    )
    async with serving(tmp_path, upstream, more) as house:
        while (await house.ask(key="secret-1")).status_code == 200:
            pass
        spent = used("key", "cron")
    async with serving(tmp_path, upstream, more) as house:
        assert await until(lambda: used("key", "cron") >= spent, 20)
        assert (used("key", "cron"), used("model", "b*")) == (spent, 0)
        assert (await house.ask(key="secret-1")).status_code == 429
        assert (await house.ask(key="secret-2")).status_code == 200


async def test_what_is_left_for_others(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """A key with a reserve is held back near the end of a window, and others are served."""
    more = KEYS + "[plugins.budgets.keys.cron]\nreserve = 0.1\n"
    async with serving(tmp_path, upstream, more) as house:
        for used_now in (0.8, 0.95):
            upstream.script(Reply((Text("hi"),), headers=limit_headers("allowed", used_now)))
            assert (await house.ask(key="secret-1")).status_code == 200
        held = await house.ask(key="secret-1")
        assert held.status_code == 429
        assert "5% of the five-hour window of the backend 'api' are left, and 10% are reserved" in held.text
        assert int(held.headers["retry-after"]) == pytest.approx(3600, abs=60)
        assert (await house.ask(key="secret-2")).status_code == 200


def filling(upstream: ScriptedUpstream, used_now: float) -> None:
    """Let each answer fill the five-hour window by 5 %."""
    filled = [used_now]

    def answer(_: object) -> Reply:
        filled[0] += 0.05
        return Reply((Text("hi"),), headers=limit_headers("allowed", filled[0], 1800))

    upstream.answer_with(answer)


async def test_a_share_of_a_window(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """A key with a share is refused when it has used it, also after a restart."""
    more = KEYS + "[plugins.budgets.keys.cron]\nwindow_share = 0.2\n"
    filling(upstream, 0.2)
    async with serving(tmp_path, upstream, more) as house:
        answers = [await house.ask(key="secret-1") for _ in range(7)]
        statuses = [answer.status_code for answer in answers]
        # The request that shows the window for the first time counts as soon as the ledger is read.
        assert statuses in ([200] * 5 + [429] * 2, [200] * 4 + [429] * 3)
        assert re.search(r"has used 2[05]\.0% of the five-hour window of the backend 'api'", answers[-1].text)
        assert "and may use 20% of it; it resets at" in answers[-1].text
        assert (await house.ask(key="secret-2")).status_code == 200
    budgets._Holder.book = Book()
    # The proxy estimates again what a token uses, and counts one or both of the two answers for that.
    async with serving(tmp_path, upstream, more.replace("0.2", "0.08")) as house:
        for _ in range(2):
            assert (await house.ask(key="secret-2")).status_code == 200
        assert await until(lambda: (share(house) or 0) >= 0.08, 20)
        assert (await house.ask(key="secret-1")).status_code == 429


def share(house: House) -> float | None:
    """Return the share of the five-hour window that the key cron has used."""
    (window, *_) = house.runtime.backends["api"].windows()
    return budgets._Holder.book.shares.of("the key 'cron'", "api", window)


async def test_who_leaves(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """What is reserved for a request is free again when its client leaves or the provider fails."""
    more = "[plugins.budgets.backends.api]\ntokens_per_day = 100000\n"
    async with serving(tmp_path, upstream, more) as house:
        for text in ("[[hang]]", "[[status 500]]", "[[status 529]]"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(house.ask(text, stream=True), 1)
        assert await until(lambda: not budgets._Holder.book._held)
        assert budgets._Holder.book.accounts["backend", "api"].running == 0


async def test_without_budgets(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Without a budget, nothing is counted."""
    async with serving(tmp_path, upstream) as house:
        assert (await house.ask()).status_code == 200
        assert budgets._Holder.book.accounts == {}
        assert isinstance(house, House)


async def test_without_a_ledger(
    tmp_path: Path,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the ledger switched off, budgets count from now on, and the log says so."""
    monkeypatch.setattr(loading, "_OFFERED_WITHIN", 0.1)
    more = (
        "enabled = false\n[plugins.budgets.backends.api]\ntokens_per_day = 1\n"  # the first is the ledger's
    )
    async with serving(tmp_path, upstream, more) as house:
        assert await until(lambda: "budgets count from now on only" in caplog.text)
        assert [(await house.ask()).status_code for _ in range(2)] == [200, 429]


def test_another_configuration() -> None:
    """A budget that stays keeps what was used, also with another limit; one that goes is forgotten."""
    book = Book()
    assert book.configure(Settings(keys={"a": Budget(tokens_per_day=10), "b": Budget()})) == [
        ("key", "a"),
        ("key", "b"),
    ]
    record = Record("m", client=Client("a"), usage=Usage(7, 3))
    book.settle(record, Cost(10))
    assert book.configure(Settings(keys={"a": Budget(tokens_per_day=20)}, models={"*": Budget()})) == [
        ("model", "*")
    ]
    account = book.accounts["key", "a"]
    assert account.used("day", time.time()).tokens == 10
    assert account.refusal(Cost(), time.time()) is None
    assert ("key", "b") not in book.accounts
