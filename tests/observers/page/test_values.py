"""The values that the page shows: numbers, names, windows, steps, filters and exports."""

from __future__ import annotations

import ast
import csv
import io
import json
import shlex
import tomllib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from claude_max_proxy import InvalidRequest, PlanWindow, Record
from claude_max_proxy.errors import Forbidden
from claude_max_proxy.ledger import Row
from claude_max_proxy.observers.page import (
    drawings,
    exporting,
    filters,
    formatting,
    now,
    plan,
    snippets,
)
from claude_max_proxy.observers.page.doctor import read
from claude_max_proxy.observers.page.security import TOKEN, check_token


NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (formatting.count(999.6), "1 k"),
        (formatting.count(1_234_567), "1.23 M"),
        (formatting.count(None), "–"),
        (formatting.dollars(0.00123), "$0.0012"),
        (formatting.dollars(1234.5), "$1,234.50"),
        (formatting.dollars(0.0), "$0.00"),
        (formatting.share(0.999), "99 %"),
        (formatting.share(0.001), "<1 %"),
        (formatting.share(1.04), "104 %"),
        (formatting.span(90_061), "1 d 1 h"),
        (formatting.span(-5), "0 s"),
        (formatting.short_time(0.0421), "42 ms"),
        (formatting.short_time(59.97), "59 s"),
        (formatting.size(3 * 2**20), "3 MB"),
        (formatting.name("a\u202eb\n\x00"), "a\ufffdb\ufffd\ufffd"),
        (formatting.name("x" * 500, 10), "x" * 10 + "…"),
    ],
)
def test_numbers_and_names(written: str, meant: str) -> None:
    """They are short, and what is invisible or turns the text around is replaced."""
    assert written == meant


@pytest.mark.parametrize(
    ("window", "level", "words"),
    [
        (
            PlanWindow("five_hour", 0.5, "allowed", NOW + HOUR, NOW, 5 * HOUR, 0.1),
            "",
            "lasts until the reset",
        ),
        (
            PlanWindow("five_hour", 0.67, "rejected", NOW + HOUR, NOW),
            "bad",
            "refuses requests until the reset",
        ),
        (PlanWindow("five_hour", 1.02, "allowed", NOW + HOUR, NOW), "bad", "used up"),
        (
            PlanWindow("five_hour", 0.5, "", NOW + 2 * HOUR, NOW, 5 * HOUR, 0.6, NOW + HOUR),
            "warn",
            "At this pace",
        ),
        (PlanWindow("five_hour", 0.5, "", NOW + HOUR, NOW, 5 * HOUR, 0.6, NOW + 2 * HOUR), "", "lasts until"),
        (PlanWindow("seven_day", 0.91, "allowed", NOW + HOUR, NOW), "warn", ""),
        (PlanWindow("seven_day", seen_at=NOW - HOUR), "", "has been reset"),
    ],
)
def test_windows(window: PlanWindow, level: str, words: str) -> None:
    """A refusal counts even if the window is not full, and a run-out only if it comes before the reset."""
    card = plan.card("claude", window, NOW)
    assert card.level == level
    assert words in card.pace
    assert 0 <= card.width <= 1000


def test_a_run_out_does_not_flicker() -> None:
    """The estimate moves by seconds all the time; what is shown moves by minutes, but not past the reset."""
    soon = [
        PlanWindow("five_hour", 0.5, "", NOW + HOUR, NOW, 5 * HOUR, 0.6, NOW + 130 + x) for x in range(40)
    ]
    shown = {plan.card("claude", window, NOW).runs_out_at for window in soon}
    assert len(shown) == 1
    near = plan.card("c", PlanWindow("five_hour", 0.9, "", NOW + 61, NOW, 5 * HOUR, 9.0, NOW + 60.5), NOW)
    assert near.runs_out_at is not None
    assert near.runs_out_at <= NOW + 61


@pytest.mark.parametrize(
    "times", [(0.1, 0.5, 0.9, 1.0), (0, None, None, 2.0), (5.0, 0.1, 0.0, 1.0), (0, 0, 9.0, 1.0)]
)
def test_steps_add_up(times: tuple[float, float | None, float | None, float]) -> None:
    """The steps of a request are its whole time, in order, also if its times contradict each other."""
    steps = drawings.waterfall(*times)
    assert sum(step.seconds for step in steps) == pytest.approx(times[3])
    assert all(0 <= step.x <= step.x + step.width <= 1000.1 for step in steps)
    assert drawings.waterfall(0, None, None, 0) == []


def test_portions_fill_the_drawing() -> None:
    """The kinds of tokens share the whole width, and those that there are not are left out."""
    found = drawings.portions(700, 0, 200, 100)
    assert [one.kind for one in found] == ["read", "fresh", "output"]
    assert sum(one.width for one in found) == pytest.approx(1000)
    assert drawings.portions(0, 0, 0, 0) == []


@pytest.mark.parametrize(
    "query",
    [
        {"before": "nan"},
        {"before": "1e999~x"},
        {"before": "~", "day": "2026-13-40", "span": "x", "outcome": "x"},
        {"day": "0001-01-01"},
        {"key": "x" * 5000, "days": "1e9", "by": "session"},
    ],
)
def test_queries_that_make_no_sense(query: dict[str, str]) -> None:
    """Whatever is in a URL, there is an answer."""
    asked = filters.asked(query, NOW)
    assert asked.where.outcome == ""
    assert len(asked.where.key or "") <= 200
    assert filters.span(query, NOW).by in filters.BYS


def test_links_lead_to_the_same_filter() -> None:
    """The link to the next page keeps the filter, and says where that page begins."""
    asked = filters.asked({"key": "a&b", "outcome": "failed", "span": "24h"}, NOW)
    link = asked.link(Row(id="r~1", began=NOW).cursor)
    query = dict(part.split("=") for part in link.partition("?")[2].split("&"))
    assert query["key"] == "a%26b"
    assert query["outcome"] == "failed"
    again = filters.asked({"before": f"{NOW!r}~r~1"}, NOW)
    assert again.before == Row(id="r~1", began=NOW).cursor


async def _rows(*rows: Row) -> AsyncIterator[Row]:
    for row in rows:
        yield row


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_a_cell_is_no_formula(start: str) -> None:
    """A spreadsheet computes nothing that a client has named."""
    evil = f'{start}HYPERLINK("http://evil","x"),\n"y'
    rows = _rows(Row(id="1", began=1.0, model=evil, program="fine"))
    text = b"".join([piece async for piece in exporting.as_csv(rows)]).decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["model"] == f"'{evil}"
    assert row["program"] == "fine"
    assert row["began"] == "1.0"


@pytest.mark.parametrize("number", [0, 1, 499, 500, 501, 1000])
async def test_json_is_whole(number: int) -> None:
    """The export is one JSON list, however many rows there are."""
    rows = _rows(*(Row(id=str(index), began=1.0) for index in range(number)))
    text = b"".join([piece async for piece in exporting.as_json(rows)])
    assert [row["id"] for row in json.loads(text)] == [str(index) for index in range(number)]


async def test_an_export_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is, an export ends."""
    monkeypatch.setattr(exporting, "MOST", 7)

    async def forever() -> AsyncIterator[Row]:
        while True:
            yield Row(id="1", began=1.0)

    text = b"".join([piece async for piece in exporting.as_csv(forever())])
    assert text.count(b"\r\n") == 8


@pytest.mark.parametrize("host", ["", "evil.example/<script>", "a b", '"onload=', "x" * 3 + ":999999", "a@b"])
def test_a_hostile_host_is_not_repeated(host: str) -> None:
    """The base URL is that of the Host header only if that is one."""
    assert snippets.base_url(host, "http", "127.0.0.1:3456") == "http://127.0.0.1:3456"
    assert snippets.base_url("[::1]:80", "https", "x") == "https://[::1]:80"


def test_snippets_are_quoted() -> None:
    """A model's name cannot leave its place in a snippet, neither in a shell nor in a program."""
    evil = "a'; rm -rf / \"#\\\n$(id)`id`"
    texts = {one.name: one.text for one in snippets.snippets("http://127.0.0.1:1", evil, "unused")}
    words = shlex.split(texts["curl"])
    assert json.loads(words[words.index("-d") + 1])["model"] == evil
    assert tomllib.loads(texts["Codex"])["model"] == evil
    for name in ("OpenAI for Python", "Anthropic for Python"):
        constants = [one.value for one in ast.walk(ast.parse(texts[name])) if isinstance(one, ast.Constant)]
        assert evil in constants


def _token(value: Any) -> bytes:
    return json.dumps({"token": value}).encode()


def test_the_token_of_a_post() -> None:
    """Only the token of this process will do."""
    check_token(_token(TOKEN))
    for body in (b"{}", _token(""), _token("\u00e9"), _token(TOKEN[:-1])):
        with pytest.raises(Forbidden):
            check_token(body)
    for body in (b"", b"[]", _token(1), b"\xff"):
        with pytest.raises(InvalidRequest):
            check_token(body)


def test_problems() -> None:
    """Everything that /health complains of is a problem, and nothing else is."""
    health = {
        "status": "degraded",
        "config_problem": "line 3",
        "backends": {"a": {"status": "ok"}, "b": {"status": "unavailable", "problem": "gone"}},
        "plugin_failures": {"shadow": 2, "fine": 0},
    }
    found = now.problems(health, ["The database is away."])
    assert [one.what for one in found] == ["configuration", "b", "plugin shadow", "ledger"]
    assert now.state({"status": "ok"}, []).text == "All is well"
    assert now.state({"status": "ok"}, found).level == "warn"


def test_many_requests_under_way() -> None:
    """Only so many are listed, and the number of the others is told."""
    records = [Record("m", began=NOW, backend="b") for _ in range(100)]
    assert len(now.underway(records)) + now.more_underway(records) == 100
    assert now.underway(records)[0].stage == "thinking"


@pytest.mark.parametrize("said", [b"", b"not JSON", b"{}", b'{"checks": 1}'])
def test_a_doctor_that_says_nothing(said: bytes) -> None:
    """If the command fails, that is a finding."""
    assert read(said)[0].status == "fail"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("five_hour", "5 hours"),
        ("seven_day_opus", "7 days · Opus"),
        ("seven_day_oauth_apps", "7 days · Oauth Apps"),
        ("some_new_window", "Some new window"),
    ],
)
def test_names_of_windows(name: str, words: str) -> None:
    """A window is named as people say it, also one of a model, and one that nobody has heard of."""
    assert plan.title(name) == words
