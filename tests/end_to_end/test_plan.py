"""How far the plan is used, as the real CLIs tell it: with every answer, and when somebody looks."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Message, PlanWindow, Request, Text, Tool, collect
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.testing import Reply, ScriptedUpstream, limit_headers
from claude_max_proxy.testing import Text as Say
from tests.end_to_end.conftest import MakeCli
from tests.end_to_end.provider_host import ProviderHost
from tests.end_to_end.running import until


USAGE, PROFILE = "/api/oauth/usage", "/api/oauth/profile"
SUBSCRIBER = {
    "accessToken": "sk-ant-oat01-dummy",
    "refreshToken": "sk-ant-ort01-dummy",
    "expiresAt": 4_000_000_000_000,
    "scopes": ["user:inference", "user:profile"],
    "subscriptionType": "max",
}


def windows(backend: ClaudeCli) -> dict[str, PlanWindow]:
    """Return the windows by name."""
    return {window.name: window for window in backend.windows()}


async def ask(backend: ClaudeCli, text: str = "hello") -> None:
    """Ask something."""
    await collect(backend.answer(Request("sonnet", messages=[Message("user", [Text(text)])]), "sonnet"))


def subscribe(home: Path) -> None:
    """Log the CLI in with a plan."""
    (home / "claude").mkdir()
    (home / "claude" / ".credentials.json").write_text(json.dumps({"claudeAiOauth": SUBSCRIBER}))


def iso(seconds: float) -> str:
    """Return a time as the provider writes it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()


@pytest.mark.parametrize("status", ["allowed", "allowed_warning"])
async def test_with_every_answer(status: str, make_cli: MakeCli, upstream: ScriptedUpstream) -> None:
    """A subscriber's answer says how the plan stands; older CLIs give a percentage only with a warning."""
    weekly = limit_headers("allowed", 0.12, 400_000, "seven_day")
    headers = {**weekly, **limit_headers(status, 0.91)}
    if status == "allowed_warning":
        headers["anthropic-ratelimit-unified-5h-surpassed-threshold"] = "0.9"
    upstream.script(Reply((Say("hi"),), headers=headers))
    variables = {**upstream.environment(), "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy"}
    del variables["ANTHROPIC_API_KEY"]
    backend = make_cli(variables)
    await backend.start()
    await ask(backend)
    assert await until(lambda: "five_hour" in windows(backend))
    found = windows(backend)
    newer = "seven_day" in found
    assert found["plan"].status == found["five_hour"].status == status.removeprefix("allowed_")
    assert found["five_hour"].used == (0.91 if newer or status != "allowed" else None)
    assert found["five_hour"].resets_at == pytest.approx(time.time() + 3600, abs=60)
    if newer:
        assert (found["seven_day"].used, found["seven_day"].status) == (0.12, "allowed")


async def test_with_an_api_key(make_cli: MakeCli, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """With an API key there is no plan, and looking at it asks nobody."""
    async with ProviderHost(tmp_path) as host:
        backend = make_cli({**upstream.environment(), **host.environment()})
        await backend.start()
        await ask(backend)
        await backend.look_at_plan()
        assert backend.windows() == ()
        assert (host.asked, upstream.others) == ([], [])


@pytest.mark.parametrize(("ttl", "kept"), [({}, False), ({"ttl": "5m"}, False), ({"ttl": "1h"}, True)])
async def test_marks_for_the_cache(
    ttl: dict[str, str], *, kept: bool, make_cli: MakeCli, upstream: ScriptedUpstream
) -> None:
    """The CLI's own marks are for an hour, and the provider refuses a shorter one on a tool before them."""
    variables = {**upstream.environment(), "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy"}
    del variables["ANTHROPIC_API_KEY"]
    mark = {"type": "ephemeral", **ttl}
    tool = Tool("look", parameters={"type": "object"}, fields={"cache_control": mark})
    request = Request("sonnet", messages=[Message("user", [Text("hello")])], tools=[tool])
    backend = make_cli(variables)
    await backend.start()
    await collect(backend.answer(request, "sonnet"))
    assert [one.refusal for one in upstream.requests] == [""]
    assert upstream.requests[0].body["tools"][0].get("cache_control") == (mark if kept else None)
    assert request.ignored == ([] if kept else ["tools.cache_control"])


async def test_when_somebody_looks(make_cli: MakeCli, tmp_path: Path) -> None:
    """Only a look makes the CLI ask how far the plan is used, and the next look does not ask again."""
    reset = time.time() + 1800
    limits: dict[str, Any] = {
        "five_hour": {"utilization": 67.0, "resets_at": iso(reset)},
        "seven_day": {"utilization": 12, "resets_at": iso(reset + 86400)},
        "seven_day_opus": {"utilization": 3.5, "resets_at": None},
        "seven_day_sonnet": None,
        "extra_usage": {"is_enabled": True, "monthly_limit": 5000, "used_credits": 1.0, "utilization": 2.4},
    }
    profile = {"account": {"uuid": "a"}, "organization": {"uuid": "o", "organization_type": "claude_max"}}
    subscribe(tmp_path)
    async with ProviderHost(tmp_path) as host:
        host.answers = {USAGE: limits, PROFILE: profile}
        backend = make_cli(host.environment())
        await backend.start()
        assert await until(lambda: bool(backend.installation.subscription), 20)
        before = [path for path in host.asked if path != PROFILE]
        await backend.look_at_plan()
        assert await until(lambda: len(backend.windows()) == 3, 20)
        await backend.look_at_plan()
        assert (before, [path for path in host.asked if path != PROFILE]) == ([], [USAGE])
    found = windows(backend)
    assert {name: window.used for name, window in found.items()} == {
        "five_hour": 0.67,
        "seven_day": 0.12,
        "seven_day_opus": 0.035,
    }
    assert found["five_hour"].resets_at == round(reset)


async def test_elsewhere(make_cli: MakeCli, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A CLI that is pointed at another address does not ask the provider for the plan either."""
    subscribe(tmp_path)
    async with ProviderHost(tmp_path) as host:
        backend = make_cli({**host.environment(), "ANTHROPIC_BASE_URL": upstream.url})
        await backend.start()
        assert await until(lambda: bool(backend.installation.subscription), 20)
        await backend.look_at_plan()
        assert USAGE not in host.asked
        assert upstream.others == []
