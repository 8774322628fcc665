"""Clients that disconnect, too many of them, and the proxy's own end: nothing remains."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
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


async def test_fifty_clients_that_leave(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Fifty clients that disconnect at any moment leave no process, place or descriptor in use."""
    proxy = await start_proxy(max_processes=PLACES, queue_size=CLIENTS)
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


async def _until_queued(proxy: RunningProxy) -> None:
    async with asyncio.timeout(5):
        while True:
            if (await proxy.health())["processes"]["queued"]:
                return
            await asyncio.sleep(0.02)


async def _leave(proxy: RunningProxy, chance: random.Random) -> None:
    """Ask something, and disconnect at some moment: at once, in the queue, in the answer, or after it."""
    says = chance.choice(["hi", "[[sleep 0.5]]", "[[pace 0.02 50]]", "[[deltas 2000]]", "[[status 529]]"])
    stream = chance.random() < 0.5
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(chance.uniform(0, 4)), proxy.client() as client:
            await ask(client, says, stream=stream)


async def _quiet(proxy: RunningProxy) -> dict[str, int]:
    """Wait until the proxy is ready and nothing runs, and return the counts of processes."""
    async with asyncio.timeout(15):
        while True:
            health = await proxy.health()
            processes = health["processes"]
            if health["status"] == "ok" and not any(processes[kind] for kind in ("busy", "queued", "ending")):
                return processes
            await asyncio.sleep(0.05)


def _own_descriptors(proxy: RunningProxy) -> int:
    """Count its descriptors but the CLIs' and the ledger's, whose files are opened when it first writes."""
    return proxy.descriptors(ledger=False) - DESCRIPTORS_PER_CLI * len(proxy.descendants())


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
    """When the client disconnects, the provider stops: what no client reads is not written, nor billed."""
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


async def test_full_queue(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A client that finds the queue full is told when to come back; one that waits in it is served."""
    proxy = await start_proxy(max_processes=1, queue_size=1, warm=0)
    await _quiet(proxy)
    loop = asyncio.get_running_loop()
    async with proxy.client() as client:
        running = loop.create_task(ask(client, SLOW, stream=True))
        assert await until(lambda: upstream.requests, 10)
        waiting = loop.create_task(answer(client, "next"))
        await _until_queued(proxy)
        for stream in (False, True):
            refused = await ask(client, "one too many", stream=stream)
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "proxy_busy"
            assert int(refused.headers["retry-after"]) > 0

        running.cancel()
        async with asyncio.timeout(10):
            assert await waiting == "You said: next"


async def test_draining(start_proxy: StartProxy) -> None:
    """A proxy that is told to stop finishes the running answer, accepts no more, and ends with status 0."""
    proxy = await start_proxy(warm=0)
    async with proxy.client() as client:
        asked = body("[[pace 0.05 40]]", stream=True)
        async with client.stream("POST", ROUTE, json=asked) as response:
            lines = response.aiter_text()
            text = await anext(lines)
            ending = asyncio.get_running_loop().create_task(proxy.stop())
            text += "".join([piece async for piece in lines])
    complete = httpx.Response(200, headers=response.headers, text=text)

    assert streamed_text(complete).split() == [f"w{number}" for number in range(40)]
    assert chunks(complete)[-1]["choices"][0]["finish_reason"] == "stop"
    assert await ending == 0, proxy.transcript()
    assert await until(lambda: not proxy.descendants(), 2)
    with pytest.raises(httpx.ConnectError):
        await proxy.health()


async def test_bounded_draining(start_proxy: StartProxy) -> None:
    """An answer that would take too long does not keep a proxy that is told to stop from ending."""
    proxy = await start_proxy(server={"drain_timeout": 1.0}, warm=0)
    async with proxy.client() as client:
        asked = body(SLOW, stream=True)
        async with client.stream("POST", ROUTE, json=asked) as response:
            lines = response.aiter_text()
            await anext(lines)
            began = time.monotonic()
            assert await proxy.stop() == 0, proxy.transcript()
            assert time.monotonic() - began < 5
            rest = "".join([piece async for piece in lines])
            assert "proxy_stopping" in rest
    assert "Traceback" not in proxy.transcript()
    assert await until(lambda: not proxy.descendants(), 2)


ENDS = {
    "killed": (signal.SIGKILL,),
    "told twice": (signal.SIGTERM, signal.SIGTERM),
    "interrupted twice": (signal.SIGINT, signal.SIGINT),
}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["direct", "wrapped"])
async def test_killed(
    run_proxy: StartProxy, cli: str, tmp_path: Path, *, wrapped: bool, ends: tuple[signal.Signals, ...]
) -> None:
    """If a busy proxy ends at once, no CLI is left two seconds later, wrapped or not."""
    command = cli
    if wrapped:
        script = tmp_path / "claude-wrapper"
        script.write_text(f'#!/bin/sh\nulimit -Sn >> "{tmp_path}/limits"\n"{cli}" "$@"\n')
        script.chmod(0o755)
        command = str(script)
    proxy = await run_proxy(command)
    async with proxy.client() as client:
        asked = body(SLOW, stream=True)
        async with client.stream("POST", ROUTE, json=asked) as response:
            lines = response.aiter_text()
            await anext(lines)
            assert proxy.descendants()
            for number in ends[:-1]:
                proxy.process.send_signal(number)
                await asyncio.sleep(0.5)
            began = time.monotonic()
            assert await proxy.stop(ends[-1]) in {-signal.SIGKILL, 128 + ends[-1]}
            assert time.monotonic() - began < 2
            with contextlib.suppress(httpx.HTTPError):
                async for _ in lines:
                    pass

    assert await until(lambda: not proxy.descendants(), 2)
    assert "Traceback" not in proxy.transcript()
    if wrapped:  # the CLI has the limit of descriptors that the proxy started with, not the raised one
        given = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert set((tmp_path / "limits").read_text().split()) == {str(given)}


async def test_two_proxies(start_proxy: StartProxy, tmp_path: Path) -> None:
    """Two proxies of one user are independent: when one ends, the other continues."""
    first, second = [
        await start_proxy(home=tmp_path / name, temporary=tmp_path / "tmp", warm=0) for name in ("one", "two")
    ]
    async with first.client() as client:
        await answer(client, "hi")
    assert await first.stop() == 0

    async with second.client() as client:
        assert await answer(client, "hi") == "You said: hi"
        assert await answer(client, "again") == "You said: again"
