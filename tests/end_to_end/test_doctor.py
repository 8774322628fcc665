"""``claude-max-proxy doctor`` with the real CLI and the scripted API."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.running import proxy_toml


TRIPS = [f"claude-{name}-4: round trip" for name in ("opus", "sonnet", "haiku")]


async def examine(home: Path, cli: str, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Run it with a separate home directory; return its status and its findings by name."""
    (home / "proxy.toml").write_text(proxy_toml(cli, {}, {}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "claude_max_proxy", "doctor", "--json"),
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode is not None
    assert b"Traceback" not in errors
    report = json.loads(output)
    return process.returncode, {check["name"]: check for check in report["checks"]}


async def test_all_is_well(cli: str, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A CLI that is logged in passes, and each default model gets one request."""
    status, checks = await examine(tmp_path, cli, upstream.environment())
    assert [name for name, check in checks.items() if check["status"] != "ok"] == []
    assert status == 0
    assert "logged in by api_key" in checks["claude: login"]["text"]
    assert [name for name in checks if name.endswith("round trip")] == TRIPS
    assert len(upstream.requests) == len(TRIPS)
    assert len({request.body["model"] for request in upstream.requests}) == len(TRIPS)


async def test_not_logged_in(cli: str, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A CLI that is not logged in fails, with what to run, and nothing goes upstream."""
    environment = {k: v for k, v in upstream.environment().items() if k != "ANTHROPIC_API_KEY"}
    status, checks = await examine(tmp_path, cli, environment)
    assert status == 1
    assert checks["claude: CLI version"]["status"] == "ok"
    assert checks["claude: login"]["status"] == "fail"
    assert checks["claude: login"]["remedy"].startswith(f"Run: {cli} auth login, or set ")
    assert [name for name in checks if name.endswith("round trip")] == []  # they would report the same
    assert upstream.requests == []
