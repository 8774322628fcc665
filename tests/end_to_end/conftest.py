"""Fixtures: the scripted API, and the real program with a real CLI behind it.

`proxy` is shared by the tests of a module, for starting one costs a second of a core; `start_proxy` makes
one with settings of its own, and `run_proxy` one with another program in the CLI's place. Whatever a test
does, at its end the proxy must stop with status 0 and leave no process behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.asking import unasked, windows
from tests.end_to_end.running import STARTED, RunningProxy, proxy_toml
from tests.end_to_end.working import openai_client


StartProxy = Callable[..., Awaitable[RunningProxy]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each module's tests in one event loop, in which its upstream and its proxy live."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_upstream() -> AsyncIterator[ScriptedUpstream]:
    """Serve the scripted API to a module's tests; at their end, nothing that nobody asked for has reached it.

    A proxy that was killed could not write down what it was asked, so its module is not looked at. Neither is
    one without a proxy, where a command of the program's own asks.
    """
    before = len(STARTED)
    async with ScriptedUpstream() as upstream:
        yield upstream
        proxies = STARTED[before:]
        if proxies and all(proxy.told and proxy.process.returncode == 0 for proxy in proxies):
            asked = [window for proxy in proxies for window in windows(proxy.work)]
            assert unasked(upstream.arrivals, asked) == []


@pytest.fixture
def upstream(shared_upstream: ScriptedUpstream) -> ScriptedUpstream:
    """Return the scripted API with nothing recorded and nothing scripted."""
    shared_upstream.clear()
    return shared_upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    request: pytest.FixtureRequest,
    cli: str,
    shared_upstream: ScriptedUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningProxy]:
    """Run the program for a module's tests; its `PROXY_TOML` is added to the configuration."""
    running = RunningProxy(tmp_path_factory.mktemp("home"), shared_upstream.environment())
    try:
        await running.start(proxy_toml(cli, {}, {}) + getattr(request.module, "PROXY_TOML", ""))
        yield running
    finally:
        await running.end()


@pytest_asyncio.fixture(loop_scope="module")
async def client(proxy: RunningProxy) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client for the shared proxy."""
    async with proxy.client() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(proxy: RunningProxy) -> AsyncIterator[AsyncOpenAI]:
    """Return the OpenAI SDK's client for the shared proxy."""
    async with openai_client(proxy) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def run_proxy(
    upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StartProxy]:
    """Return a function that runs the program with a command and settings of the test's own."""
    started: list[RunningProxy] = []

    async def run(
        command: str | list[str],
        *,
        home: Path | None = None,
        server: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        temporary: Path | None = None,
        more: str = "",
        **backend: Any,
    ) -> RunningProxy:
        environment = upstream.environment() if environment is None else environment
        running = RunningProxy(home or tmp_path_factory.mktemp("home"), environment, temporary)
        started.append(running)
        await running.start(proxy_toml(command, backend, server or {}) + more)
        return running

    yield run
    for running in started:
        await running.end()


@pytest.fixture
def start_proxy(cli: str, run_proxy: StartProxy) -> StartProxy:
    """Return a function that runs the program, with the real CLI, and with settings of the test's own."""
    return partial(run_proxy, cli)
