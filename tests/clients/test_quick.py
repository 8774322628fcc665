"""The quick clients of the matrix, in every run of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.client import Client
from tests.clients.installing import here, install
from tests.clients.matrix import run_client
from tests.clients.registry import clients


QUICK = [client for client in clients() if client.quick]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", QUICK, ids=[client.name for client in QUICK])
async def test_client(client: Client, cli: str, tmp_path: Path) -> None:
    """A client does everything that its page says."""
    installed = here(client) if client.here else install(client, print)
    log = tmp_path / "log"
    outcomes = await run_client(client, installed, cli, log, lambda _: None)
    failures = [f"{outcome.check.name}: {outcome.failure}" for outcome in outcomes if outcome.failure]
    assert not failures, log.read_text("utf-8")
    assert len(outcomes) == len(client.checks)
