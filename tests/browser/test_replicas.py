"""The replicas that share a database, in the view Now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

import pytest

from tests.browser.conftest import Served
from tests.browser.traffic import PROXY_TOML
from tests.browser.visiting import WIDTHS, Visit
from tests.postgresql import PostgreSQL, missing, postgresql


pytestmark = pytest.mark.postgres
LONG = "a-replica-with-a-name-that-is-as-long-as-a-name-may-ever-be-here"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """Return a running PostgreSQL server."""
    if reason := missing():
        pytest.skip(reason)
    with postgresql() as running:
        yield running


def toml(name: str, url: str) -> str:
    """Return the configuration of one replica."""
    shared = f'[shared]\nurl = "{url}"\n[plugins.openai_responses]\nstore = false\n'
    return f'{PROXY_TOML}\n[server]\nreplica = "{name}"\n{shared}'


async def test_they_come_and_go(visit: Visit, start_proxy: Served, server: PostgreSQL) -> None:
    """A replica that starts appears by itself, and one that ends disappears."""
    url = await asyncio.to_thread(server.new_database)
    first = await start_proxy(toml("first", url))
    visitor = await visit(first, "/")
    rows = visitor.page.locator("#replicas tbody tr")
    await rows.filter(has_text="first").get_by_text("this one").wait_for()
    assert await rows.count() == 1

    second = await start_proxy(toml(LONG, url))
    await rows.filter(has_text=LONG).wait_for(timeout=20_000)
    assert await rows.get_by_text("this one").count() == 1

    await second.stop()
    await rows.filter(has_text=LONG).wait_for(state="detached", timeout=20_000)
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_they_fit(
    visit: Visit, start_proxy: Served, server: PostgreSQL, width: int, scheme: Literal["light", "dark"]
) -> None:
    """The longest name fits at every width, in both schemes, and everything is accessible."""
    running = await start_proxy(toml(LONG, await asyncio.to_thread(server.new_database)))
    visitor = await visit(running, "/", width=width, color_scheme=scheme)
    await visitor.page.locator("#replicas tbody tr").filter(has_text=LONG).wait_for()
    assert await visitor.overflow() <= 0
    assert await visitor.violations() == []
    assert visitor.complaints == []


async def test_a_proxy_alone(visit: Visit, start_proxy: Served) -> None:
    """Where nothing is shared, nothing is said about replicas."""
    visitor = await visit(await start_proxy(PROXY_TOML), "/")
    assert await visitor.page.get_by_text("Replicas").count() == 0
