"""The bounds are the proxy's: over reloads, between clients, and if no request needs the CLI at all."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import ROUTE, answer, ask, body
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until


SLOW = "[[pace 0.05 1200]]"
PLACES = 3


def change(proxy: RunningProxy, old: str, new: str) -> None:
    """Change a word of `proxy.toml`."""
    path = Path(proxy.work) / "proxy.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def reloaded(proxy: RunningProxy, times: int) -> None:
    """Wait until it has been reloaded so many times."""
    assert await until(lambda: sum("is reloaded" in line for line in proxy.log) >= times, 10)


async def watch(proxy: RunningProxy, seen: list[int]) -> None:
    """Count the processes repeatedly."""
    while True:
        seen.append(clis(proxy))
        await asyncio.sleep(0.05)


def clis(proxy: RunningProxy) -> int:
    """Count the proxy's own children that are CLIs for requests; each may briefly have its own children."""
    count = 0
    for pid in Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            count += b"stream-json" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return count


async def test_over_reloads(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Clients that stopped reading before two reloads keep their places, and no process is added."""
    proxy = await start_proxy(max_processes=PLACES, queue_timeout=61.0)
    loop = asyncio.get_running_loop()
    seen: list[int] = []
    watching = loop.create_task(watch(proxy, seen))
    pieces: list[AsyncIterator[str]] = []
    async with contextlib.AsyncExitStack() as stack:
        for number in (1, 2):
            client = await stack.enter_async_context(proxy.client())
            request = client.stream("POST", ROUTE, json=body(SLOW, stream=True))
            response = await stack.enter_async_context(request)
            pieces.append(response.aiter_text())
            assert "chunk" in await anext(pieces[-1])
            change(proxy, f"queue_timeout = {60 + number}", f"queue_timeout = {61 + number}")
            await reloaded(proxy, number)
        async with proxy.client() as client, asyncio.timeout(60):
            said = await asyncio.gather(*(answer(client, f"number {number}") for number in range(5)))
        assert said == [f"You said: number {number}" for number in range(5)]
        assert not any(request.disconnected for request in upstream.requests[:2])  # they are still running
    watching.cancel()
    assert max(seen) <= PLACES
    async with proxy.client() as client:
        assert await answer(client, "hi") == "You said: hi"


async def test_more_room(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A reload that allows more, or fewer, takes effect at once."""
    proxy = await start_proxy(max_processes=1, queue_timeout=40.0, warm=0, warm_models=[])
    async with proxy.client() as client:
        request = client.stream("POST", ROUTE, json=body(SLOW, stream=True))
        async with request as response:
            pieces = response.aiter_text()
            assert "chunk" in await anext(pieces)
            change(proxy, "queue_timeout = 40.0", "queue_timeout = 2.5")
            await reloaded(proxy, 1)
            assert (await ask(client, "no room")).status_code == 429
            change(proxy, "queue_timeout = 2.5", "queue_timeout = 40.0")
            change(proxy, "max_processes = 1", "max_processes = 2")
            await reloaded(proxy, 2)
            assert await answer(client, "room") == "You said: room"


async def test_a_reload_that_fails(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """After a reload with a mistake, which changes nothing, requests are answered as before."""
    proxy = await start_proxy(max_processes=2)
    change(proxy, "max_processes = 2", "max_processes = 1\nnonsense = 2")
    proxy.process.send_signal(signal.SIGHUP)
    assert await until(lambda: any("stays as it was" in line for line in proxy.log), 10)
    async with proxy.client() as client:
        assert await asyncio.gather(*(answer(client, "hi") for _ in range(2))) == ["You said: hi"] * 2


KEYS = "\n[server.api_keys]\ngreedy = 'key-of-greedy'\nmodest = 'key-of-modest'\n"


@pytest.mark.parametrize("size", [1, 4])
async def test_nobody_is_shut_out(size: int, start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A client that asks again every 50 ms, whatever it gets, does not keep another from getting its turn."""
    proxy = await start_proxy(max_processes=1, queue_size=size, warm=0, warm_models=[], more=KEYS)
    loop = asyncio.get_running_loop()
    statuses: list[int] = []
    async with proxy.client(headers={"authorization": "Bearer key-of-greedy"}) as greedy:

        async def once() -> None:
            statuses.append((await ask(greedy, "[[sleep 0.3]]")).status_code)

        async def insist() -> None:
            async with asyncio.TaskGroup() as group:
                while True:
                    group.create_task(once())
                    await asyncio.sleep(0.05)

        insisting = loop.create_task(insist())
        assert await until(lambda: 429 in statuses, 20)
        async with proxy.client(headers={"authorization": "Bearer key-of-modest"}) as modest:
            for number in range(3):
                began = time.monotonic()
                response = await ask(modest, f"number {number}")
                assert response.status_code == 200, response.text
                assert time.monotonic() - began < 20
        insisting.cancel()
        await asyncio.wait({insisting})
    assert 200 in statuses


async def test_where_no_model_leads_to_it(
    start_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A CLI that no model needs is not examined; after a reload that adds such a model, it is."""
    names = ["claude-opus-4", "claude-sonnet-4", "claude-haiku-4", "opus", "sonnet", "haiku", "claude-*"]
    names += [f"claude-code-cli/claude-{name}-4" for name in ("opus", "sonnet", "haiku")]
    models = "".join(f'"{name}" = "other/x"\n' for name in names)
    other = '[backends.other]\ntype = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nretries = 0\n'
    proxy = await start_proxy(more=f"{other}\n[models]\n{models}", warm=2, warm_models=["sonnet", "opus"])
    await asyncio.sleep(2)
    assert proxy.descendants() == []
    health = await proxy.health()
    assert (health["status"], "version" in health) == ("ok", False)

    change(proxy, '"sonnet" = "other/x"', '"sonnet" = "claude/sonnet"')
    await reloaded(proxy, 1)

    async with proxy.client() as client:
        assert await answer(client, "hi", model="sonnet") == "You said: hi"
    assert (await proxy.health())["version"]
