"""What tests of the ledger use: a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQL, missing, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    """Return a running PostgreSQL server."""
    if reason := missing():
        pytest.skip(reason)
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database: each test runs with SQLite and with PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    running: PostgreSQL = request.getfixturevalue("server")
    return running.new_database()
