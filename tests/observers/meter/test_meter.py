"""The meter in the proxy: warnings, headers, ``/health`` and ``/status``, with a scripted provider."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claude_max_proxy.observers import meter
from claude_max_proxy.observers.meter.alarms import Alarms
from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, limit_headers, plan_limit
from tests.observers.house import House, serving


WEEK = {
    name: value for name, value in limit_headers("allowed", 0.12, 4e5, "seven_day").items() if "7d" in name
}


def answer(used: float, status: str = "allowed") -> Reply:
    """Return an answer to a subscriber, whose five-hour window is used so far."""
    return Reply((Text("hi"),), headers={**limit_headers(status, used), **WEEK})


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without what the tests before have left: it belongs to the process."""
    monkeypatch.setattr(meter._Holder, "alarms", Alarms())
    meter._Holder.failures.clear()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """The proxy with the defaults."""
    async with ScriptedUpstream() as upstream, serving(tmp_path, upstream) as house:
        yield house


async def test_headers(house: House) -> None:
    """An answer says what is known of the plan when it begins; where nothing is known, it says nothing."""
    house.upstream.script(answer(0.91, "allowed_warning"), answer(0.92))
    first, second = await house.ask(), await house.ask()
    assert not [name for name in first.headers if name.startswith("x-proxy-plan")]
    assert second.headers["x-proxy-plan-five-hour-used"] == "0.91"
    assert second.headers["x-proxy-plan-five-hour-status"] == "warning"
    assert int(second.headers["x-proxy-plan-five-hour-resets"]) == pytest.approx(time.time() + 3600, abs=60)
    assert second.headers["x-proxy-plan-seven-day-used"] == "0.12"
    assert second.headers["x-proxy-plan-status"] == "warning"


async def test_warnings(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """The log warns once for each threshold."""
    for used in (0.5, 0.76, 0.77, 0.92):
        house.upstream.script(answer(used))
        await house.ask()
    found = [record for record in caplog.records if "window is" in record.getMessage()]
    assert [record.levelno for record in found] == [logging.WARNING] * 2
    assert [record.getMessage().split(";")[0] for record in found] == [
        "api: the five-hour window is 76 % used",
        "api: the five-hour window is 92 % used",
    ]


async def test_health(house: House) -> None:
    """``/health`` has the windows of each backend, without what is not known."""
    assert "windows" not in (await house.http.get("/health")).json()["backends"]["api"]
    house.upstream.script(answer(0.5))
    await house.ask()
    windows = (await house.http.get("/health")).json()["backends"]["api"]["windows"]
    assert [(one["name"], one.get("used")) for one in windows] == [
        ("five_hour", 0.5),
        ("seven_day", 0.12),
        ("plan", None),
    ]
    assert windows[0]["length"] == 18000


async def test_status(house: House) -> None:
    """``/status`` has windows, failures and the ledger's state; nothing of what was said is in it."""
    house.upstream.script(answer(0.5), plan_limit())
    await house.ask("my secret words")
    assert (await house.ask("my secret words")).status_code == 429
    found = await house.http.get("/status")
    status = found.json()
    assert status["windows"]["api"][0]["used"] == 1.0
    assert status["windows"]["api"][0]["status"] == "rejected"
    assert (status["underway"], status["processes"]) == ([], {})
    assert [one["status"] for one in status["failures"]][-1] == 429
    assert status["ledger"]["lost"] == 0
    assert status["now"] == pytest.approx(time.time(), abs=10)
    assert "secret" not in found.text


async def test_who_may_ask(tmp_path: Path) -> None:
    """With API keys, only one with ``admin = true`` gets the status."""
    keys = '[server.api_keys]\nme = "secret-1"\nboss = { key = "secret-2", admin = true }\n'
    async with ScriptedUpstream() as upstream, serving(tmp_path, upstream, keys) as house:
        for secret, status in (("secret-1", 401), ("secret-2", 200), ("wrong", 401)):
            answer = await house.http.get("/status", headers={"authorization": f"Bearer {secret}"})
            assert answer.status_code == status, answer.text


async def test_switched_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Headers and warnings can be switched off; ``enabled = false`` switches off all of it."""
    more = "[plugins.meter]\nheaders = false\nwarn_at = []\nwarn_of_pace = false\n"
    async with ScriptedUpstream() as upstream, serving(tmp_path, upstream, more) as house:
        upstream.script(answer(0.99), answer(0.99))
        for _ in range(2):
            assert not [name for name in (await house.ask()).headers if name.startswith("x-proxy-plan")]
    assert "window is" not in caplog.text
    more = "[plugins.meter]\nenabled = false\n"
    async with ScriptedUpstream() as upstream, serving(tmp_path, upstream, more) as house:
        assert (await house.http.get("/status")).status_code == 404
