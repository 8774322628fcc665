"""Clients that leave, too many of them, and the proxy's own end: nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import ROUTE, answer, ask, body, chunks, streamed_text
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until


PLACES = 4
CLIENTS = 50
DESCRIPTORS_PER_CLI = 3  # its standard input, output and error
SLOW = "[[pace 0.05 600]]"


async def test_fifty_clients_that_leave(
    cli: str, start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """Fifty clients at once, each leaving at some moment, leave no process, place or descriptor behind."""
    proxy = await start_proxy(cli, max_processes=PLACES, queue_size=CLIENTS)
    async with proxy.client() as client:
        await answer(client, "hi")
    await _quiet(proxy)
    before = _own_descriptors(proxy)

    chance = random.Random(50)
    await asyncio.gather(*(_leave(proxy, chance) for _ in range(CLIENTS)))

    await upstream.idle(10)
    processes = await _quiet(proxy)
    assert processes["busy"] == processes["queued"] == processes["ending"] == 0
    assert len(proxy.descendants()) <= PLACES
    await until(lambda: _own_descriptors(proxy) <= before + 2)
    assert _own_descriptors(proxy) <= before + 2
    assert _zombies(proxy) == []
    async with proxy.client() as client:
        assert await answer(client, "still there?") == "You said: still there?"
    assert "Traceback" not in proxy.transcript()


async def _leave(proxy: RunningProxy, chance: random.Random) -> None:
    """Ask something, and leave at some moment: at once, in the queue, in the answer, or after it."""
    says = chance.choice(["hi", "[[sleep 0.5]]", "[[pace 0.02 50]]", "[[deltas 2000]]", "[[status 529]]"])
    stream = chance.random() < 0.5
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(chance.uniform(0, 6)), proxy.client() as client:
            await ask(client, says, stream=stream)


async def _quiet(proxy: RunningProxy) -> dict[str, int]:
    """Wait until nothing runs, and give the counts of processes."""
    async with asyncio.timeout(15):
        while True:
            processes = (await proxy.health())["processes"]
            if not processes["busy"] and not processes["queued"] and not processes["ending"]:
                return processes
            await asyncio.sleep(0.05)


def _own_descriptors(proxy: RunningProxy) -> int:
    return proxy.descriptors() - DESCRIPTORS_PER_CLI * len(proxy.descendants())


def _zombies(proxy: RunningProxy) -> list[int]:
    return [pid for pid, parent, state in _statuses() if parent == proxy.pid and state == "Z"]


def _statuses() -> Iterator[tuple[int, int, str]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            yield int(path.parent.name), int(parent), state


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("says", ["[[sleep 30]]", SLOW], ids=["before the first token", "in the answer"])
async def test_leaving_stops_the_upstream(
    says: str, stream: bool, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """When the client leaves, the provider stops: what nobody reads is not written, nor billed."""
    async with proxy.client() as client:
        asking = asyncio.get_running_loop().create_task(ask(client, says, stream=stream))
        assert await until(lambda: upstream.requests, 10)
        await asyncio.sleep(0.3)
        asking.cancel()
        await asyncio.wait([asking])
    left = time.monotonic()

    assert await until(lambda: upstream.requests[0].disconnected, 2)
    assert time.monotonic() - left < 2
    await _quiet(proxy)
    assert len(upstream.requests) == 1
    assert await until(lambda: proxy.access()[-1][0] == 499)


async def test_full_queue(cli: str, start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Who finds the queue full is told when to come back; who waits in it is served."""
    proxy = await start_proxy(cli, max_processes=1, queue_size=1)
    loop = asyncio.get_running_loop()
    async with proxy.client() as client:
        running = loop.create_task(ask(client, SLOW, stream=True))
        assert await until(lambda: upstream.requests, 10)
        waiting = loop.create_task(answer(client, "next"))
        async with asyncio.timeout(5):
            while (await proxy.health())["processes"]["queued"] != 1:
                await asyncio.sleep(0.02)

        for stream in (False, True):
            refused = await ask(client, "one too many", stream=stream)
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "proxy_busy"
            assert int(refused.headers["retry-after"]) > 0

        running.cancel()
        async with asyncio.timeout(10):
            assert await waiting == "You said: next"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_draining(number: int, cli: str, start_proxy: StartProxy) -> None:
    """A proxy that is told to stop lets the running answer finish, takes no more, and ends with status 0."""
    proxy = await start_proxy(cli)
    async with proxy.client() as client:
        asked = body("[[pace 0.05 40]]", stream=True)
        async with client.stream("POST", ROUTE, json=asked) as response:
            lines = response.aiter_text()
            text = await anext(lines)
            ending = asyncio.get_running_loop().create_task(proxy.stop(number))
            text += "".join([piece async for piece in lines])
    complete = httpx.Response(200, headers=response.headers, text=text)

    assert streamed_text(complete).split() == [f"w{number}" for number in range(40)]
    assert chunks(complete)[-1]["choices"][0]["finish_reason"] == "stop"
    assert await ending == 0, proxy.transcript()
    assert await until(lambda: not proxy.descendants(), 2)
    with pytest.raises(httpx.ConnectError):
        await proxy.health()


async def test_bounded_draining(cli: str, start_proxy: StartProxy) -> None:
    """An answer that would take too long does not keep a proxy that is told to stop from ending."""
    proxy = await start_proxy(cli, server={"drain_timeout": 1.0})
    async with proxy.client() as client:
        asked = body(SLOW, stream=True)
        async with client.stream("POST", ROUTE, json=asked) as response:
            lines = response.aiter_text()
            await anext(lines)
            began = time.monotonic()
            assert await proxy.stop() == 0, proxy.transcript()
            assert time.monotonic() - began < 5
            with contextlib.suppress(httpx.HTTPError):
                async for _ in lines:
                    pass
    assert await until(lambda: not proxy.descendants(), 2)


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "in a shell script"])
async def test_killed(wrapped: bool, cli: str, start_proxy: StartProxy, tmp_path: Path) -> None:
    """Of a proxy that is killed, busy with an answer, no CLI is left two seconds later."""
    command = cli
    if wrapped:
        script = tmp_path / "claude"
        script.write_text(f'#!/bin/sh\n"{cli}" "$@"\n')
        script.chmod(0o755)
        command = str(script)
    proxy = await start_proxy(command)
    async with proxy.client() as client:
        asked = body(SLOW, stream=True)
        async with client.stream("POST", ROUTE, json=asked) as response:
            lines = response.aiter_text()
            await anext(lines)
            assert len(proxy.descendants()) >= 2
            await proxy.stop(signal.SIGKILL)
            with contextlib.suppress(httpx.HTTPError):
                async for _ in lines:
                    pass

    assert await until(lambda: not proxy.descendants(), 2)


async def test_two_proxies(cli: str, start_proxy: StartProxy, tmp_path: Path) -> None:
    """Two proxies of one user do not need each other: when one ends, the other goes on."""
    first, second = [
        await start_proxy(cli, environment=None, home=tmp_path / name, shared_tmp=tmp_path / "tmp", warm=0)
        for name in ("one", "two")
    ]
    async with first.client() as client:
        await answer(client, "hi")
    assert await first.stop() == 0

    async with second.client() as client:
        assert await answer(client, "hi") == "You said: hi"
        assert await answer(client, "again") == "You said: again"
