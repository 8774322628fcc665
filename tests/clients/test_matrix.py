"""The client matrix itself: its table, its commands, its lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.client import Check, Client
from tests.clients.installing import VERSIONS, Installed
from tests.clients.matrix import Outcome, run_client
from tests.clients.registry import APART, NAMES, clients
from tests.clients.stage import Stage
from tests.clients.table import Line, failed, table
from tests.installed_cli import PINNED, ROOT, command


def check(name: str) -> Check:
    """Return a check of this name."""
    return Check(name, "chat", hello, 1, 5.0)


async def hello(stage: Stage) -> None:
    """Say hello."""
    del stage


def test_table() -> None:
    """The table is aligned, says what ran and why something failed, and why something did not run."""
    outcomes = [Outcome(check("whole"), 1, "", 0.1), Outcome(check("tools"), 2, "no tools", 0.1)]
    lines = [Line("llm", "0.36", "2.1.197", outcomes), Line("Cursor", "", "", reason="a desktop program")]
    assert table(lines).splitlines() == [
        "client  version  Claude Code  API   what ran      requests  result",
        "llm     0.36     2.1.197      chat  whole, tools  3         failed: tools: no tools",
        "Cursor                                                      not run: a desktop program",
    ]
    assert failed(lines) == 1


@pytest.mark.cli
@pytest.mark.timeout(300)
async def test_failures(tmp_path: Path) -> None:
    """A check that fails, asks wrongly often or takes too long is reported with its reason, and logged."""
    client = Client("nobody", "Nobody")

    @client.check(requests=1)
    async def asks_nothing(stage: Stage) -> None:
        """Do nothing."""
        del stage

    @client.check(requests=0)
    async def is_wrong(stage: Stage) -> None:
        """Run something that fails."""
        await stage.run("sh", "-c", "echo said; exit 3")
        raise ValueError("it went wrong")

    @client.check(requests=0, within=0.5)
    async def hangs(stage: Stage) -> None:
        """Run something without an end."""
        await stage.run("sleep", "100")

    log = tmp_path / "log"
    outcomes = await run_client(
        client, Installed("", tmp_path, tmp_path), command(PINNED), log, lambda _: None
    )
    assert [outcome.failure for outcome in outcomes] == [
        "0 requests reached the provider, not 1",
        "it went wrong",
        "it took longer than 0.5 s",
    ]
    assert "said" in log.read_text()


def test_lists() -> None:
    """Every client has checks that say what they promise, and every version belongs to a client."""
    for client in clients():
        assert client.checks, client.name
        assert all(check.promise.endswith(".") for check in client.checks), client.name
        assert len({(check.api, check.name) for check in client.checks}) == len(client.checks), client.name
    assert set(VERSIONS) <= set(NAMES)
    assert all(client.apart for client in APART)


def test_unknown_client() -> None:
    """If the name of a client is unknown, the error names the closest one."""
    arguments = [sys.executable, "-m", "tests.clients", "openclow"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "there is no client 'openclow'; did you mean 'openclaw'?" in done.stderr
