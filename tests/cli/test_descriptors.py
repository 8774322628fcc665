"""A server with few file descriptors: which connections it closes, which it refuses, and that it goes on."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest

from claude_max_proxy.server.connections import descriptors as module
from claude_max_proxy.server.connections.descriptors import Descriptors, Idle
from tests.cli.serving_process import CHAT, ask, serving
from tests.cli.test_ending import SLOW, TOML


pytestmark = pytest.mark.slow
FEW = 96
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(url: str, number: int, words: bytes = b"") -> list[Client]:
    """Open so many connections, each of which sends something."""
    port = int(url.split(":")[2].split("/", maxsplit=1)[0])
    clients = []
    for _ in range(number):
        clients.append(await asyncio.open_connection("127.0.0.1", port))
        clients[-1][1].write(words)
    return clients


async def closed(clients: list[Client]) -> int:
    """Return how many of them the server has closed."""

    async def is_closed(reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(0.05):
                await reader.read()
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    return sum(await asyncio.gather(*(is_closed(reader) for reader, _ in clients)))


def processor_time(process: int) -> float:
    """Return the seconds of CPU time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hang_up(clients: list[Client]) -> None:
    """Close them."""
    for _, writer in clients:
        writer.close()


IDLE = {
    "silent": b"",
    "used": b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("words", IDLE.values(), ids=IDLE)
async def test_idle_connections_give_way(tmp_path: Path, words: bytes) -> None:
    """However many connections are idle, new clients are answered, and the log says what happens."""
    async with serving(tmp_path, descriptors=FEW) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        clients = await connected(url, 2 * FEW, words)
        await asyncio.sleep(1.2)  # only then are they idle
        for _ in range(5):
            assert (await ask(url)).status_code == 200
        assert await closed(clients) > FEW
        async with httpx.AsyncClient() as http:
            health = (await http.get(f"{url}/health")).json()
        assert (health["status"], f"of {FEW} are in use" in health["connection_problem"]) == (
            "degraded",
            True,
        )
        assert proxy.said.count("so idle connections are closed") == 1
        hang_up(clients)
        assert await proxy.stop() == 0
    assert "Traceback" not in proxy.said


async def test_busy_connections_stay(tmp_path: Path) -> None:
    """If every connection is in use, new ones are refused until others end."""
    body = msgspec.json.encode({**CHAT, "model": "mute", "stream": True})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    words = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with serving(tmp_path, TOML.format(drain=0.2), slow=SLOW, descriptors=FEW) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        clients = await connected(url, 2 * FEW, words)
        await proxy.says("so new clients are refused")
        await asyncio.sleep(1)  # only a few at a time are told so
        refused = await ask(url)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "proxy_busy")
        assert refused.headers["retry-after"]
        assert proxy.said.count("so new clients are refused") == 1
        assert 0 < 2 * FEW - await closed(clients) < FEW
        hang_up(clients)
        await asyncio.sleep(1)
        assert (await ask(url)).status_code == 200
        assert await proxy.stop() == 0
    assert "Traceback" not in proxy.said


async def test_the_configuration_is_read_all_the_same(tmp_path: Path) -> None:
    """Some descriptors are reserved for the proxy itself."""
    async with serving(tmp_path, descriptors=FEW) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        clients = await connected(url, 2 * FEW)
        file = tmp_path / "proxy.toml"
        file.write_text(file.read_text().replace("echo =", "reflection ="))
        await proxy.says("the configuration is reloaded")
        hang_up(clients)
        assert await proxy.stop() == 0


async def test_no_descriptor_at_all(tmp_path: Path) -> None:
    """A plugin that takes all of them, the reserve too, stops nothing permanently and costs no CPU time."""
    hungry = """
import os
from claude_max_proxy import hookimpl
taken = []


@hookimpl
def rewrite_request(request):
    if request.model == "echo" and not taken:
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass


@hookimpl
async def log_request(record):
    import asyncio
    asyncio.get_running_loop().call_later(2, free)


def free():
    while taken:
        os.close(taken.pop())
"""
    async with serving(tmp_path, descriptors=FEW, hungry=hungry) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert (await ask(url)).status_code == 200  # after it there is none
        clients = await connected(url, 3)
        before = processor_time(proxy.process.pid)
        await proxy.says("file descriptors are running out")
        await asyncio.sleep(1)
        assert processor_time(proxy.process.pid) - before < 0.6
        async with asyncio.timeout(20):
            assert (await ask(url)).status_code == 200
        hang_up(clients)
        assert await proxy.stop() == 0


async def test_as_many_as_there_may_be(tmp_path: Path) -> None:
    """The proxy raises its limit as far as the system allows, and logs nothing if that is enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(tmp_path) as proxy:
        await proxy.says(r"address\s+(\S+)")
        assert resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)[0] == max(soft, min(hard, 65_536))
        assert await proxy.stop() == 0


# --- who gives way


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_longest_idle_gives_way(now: list[float]) -> None:
    """The longest idle connection is closed, but none that was used within the last second."""
    gone: list[int] = []
    idle = Idle()
    for number in (1, 2, 3):
        idle.add(number, partial(gone.append, number))
    idle.remove(1)
    assert not idle.close_one()
    now[0] += 1
    idle.add(1, lambda: gone.append(1))
    assert [idle.close_one() for _ in range(3)] == [True, True, False]
    now[0] += 1
    assert [idle.close_one() for _ in range(2)] == [True, False]
    assert gone == [2, 3, 1]


def test_the_reserve(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """Below the reserve every connection is admitted; from there on one is closed, which is logged rarely."""
    descriptors = Descriptors(256)
    assert descriptors.reserve == 64
    assert descriptors.admit(191)
    assert not descriptors.problem
    for _ in range(3):
        assert not descriptors.admit(192)
    descriptors.idle.add(1, lambda: None)
    now[0] += 1
    assert descriptors.admit(192)
    assert [record.getMessage().rpartition(", so ")[2] for record in caplog.records] == [
        "new clients are refused",
        "idle connections are closed",
    ]
    assert "192 of 256" in descriptors.problem
    now[0] += 61
    assert not descriptors.problem
    assert not descriptors.admit(255)
    assert len(caplog.records) == 3


def test_a_limit_that_changes(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """When descriptors run short, the limit is read again: it may have been lowered from outside."""
    descriptors = Descriptors(1000)
    monkeypatch.setattr(module, "current_limit", lambda: 100)
    assert descriptors.admit(90)
    descriptors.short(refused=True)
    assert "75 of 100" in descriptors.problem
    assert not descriptors.admit(90)
    monkeypatch.setattr(module, "current_limit", lambda: 1000)
    assert not descriptors.admit(90)
    assert descriptors.admit(90)
