"""Fixtures: the scripted API, and the real program with a real CLI.

`proxy` is shared by the tests of a module, since starting one takes a second of a core; `start_proxy` starts
one with other settings, and `run_proxy` one with another program instead of the CLI. Whatever a test does, at
its end the proxy must stop with status 0 and leave no process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.asking import unasked, windows
from tests.end_to_end.running import STARTED, RunningProxy, proxy_toml
from tests.end_to_end.working import openai_client


StartProxy = Callable[..., Awaitable[RunningProxy]]
MakeCli = Callable[..., ClaudeCli]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a module in one event loop, in which their upstream and their proxy live."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_upstream() -> AsyncIterator[ScriptedUpstream]:
    """Serve the scripted API to a module's tests; at the end, it must have got only what a client asked for.

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
    """Return the scripted API, with empty records and scripts."""
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
    """Return a function that runs the program with a command and settings that the test chooses."""
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
    """Return a function that runs the program with the real CLI and settings that the test chooses."""
    return partial(run_proxy, cli)


@pytest_asyncio.fixture(loop_scope="module")
async def make_cli(cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeCli]:
    """Return a function that makes a backend with the real CLI, a home of its own, and these variables."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    async with AsyncExitStack() as stack:

        def make(variables: dict[str, str], **settings: Any) -> ClaudeCli:
            env = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"), **variables}
            backend = ClaudeCli(
                "claude", ClaudeCliSettings(**{"command": cli, "env": env, "warm": 0, **settings})
            )
            stack.push_async_callback(backend.stop)
            return backend

        yield make
