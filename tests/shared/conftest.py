"""What tests of what replicas share use: a PostgreSQL server, and replicas that have a database of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from claude_max_proxy.config import SharedConfig
from claude_max_proxy.shared import Shared, shared_of
from tests.postgresql import PostgreSQL, missing, postgresql


Join = Callable[..., Awaitable[Shared]]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    """Return a running PostgreSQL server."""
    if reason := missing():
        pytest.skip(reason)
    with postgresql() as running:
        yield running


@pytest.fixture
def url(server: PostgreSQL) -> str:
    """Return the URL of an empty database."""
    return server.new_database()


@pytest.fixture
async def join(url: str) -> AsyncIterator[Join]:
    """Open what a replica shares, all of them in one database, until the end of the test."""
    async with AsyncExitStack() as stack:

        async def one(**settings: Any) -> Shared:
            shared = shared_of(SharedConfig(url=url, **settings), "1.2.3", "one")
            assert shared is not None
            await shared.open()
            stack.push_async_callback(shared.close)
            return shared

        yield one
