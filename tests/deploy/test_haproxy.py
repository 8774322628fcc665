"""`deploy/haproxy.cfg`: HAProxy accepts it, and does with requests what its comments say."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import certificates
from tests.cli.serving_process import CHAT, Serving, serving
from tests.haproxy import HAProxy, check, free_port, haproxy, missing, written


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
NAMES = ["proxy-0", "proxy-1", "proxy-2"]
AFFINITY = "x-session-affinity"
SLOW = """
import asyncio
import claude_max_proxy as proxy
from claude_max_proxy.backend import Backend, ModelInfo


class Slow(Backend):
    async def answer(self, request, model):
        yield proxy.Started(model)
        yield proxy.PartStarted(0, "text")
        yield proxy.PartDelta(0, "word")
        await asyncio.sleep(3600)

    def describe(self, model):
        return ModelInfo(model)


@proxy.hookimpl
def register_backends(register):
    register("slow", proxy.Settings, lambda _name, _settings: Slow())
"""
TOML = """
slow = "slow/one"

[backends.slow]
type = "slow"

[server]
replica = "{name}"
drain_notice = 5
trusted_proxies = ["127.0.0.1"]
"""


class House:
    """Three replicas behind HAProxy, and a client of it."""

    def __init__(self, replicas: dict[str, Serving], balancer: HAProxy, http: httpx.AsyncClient) -> None:
        self.replicas = replicas
        self.balancer = balancer
        self.http = http

    async def ask(self, headers: dict[str, str] | None = None) -> httpx.Response:
        """Ask for a chat."""
        return await self.http.post("/v1/chat/completions", json=CHAT, headers=headers)

    async def name(self, headers: dict[str, str] | None = None) -> str:
        """Ask for a chat, and return who answered."""
        answer = await self.ask(headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-proxy-replica"]


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """Start three replicas and HAProxy, and wait until it finds all of them ready."""
    async with AsyncExitStack() as stack:
        replicas, places = {}, {}
        for name in NAMES:
            own = folder / name
            own.mkdir()
            toml = TOML.format(name=name)
            replicas[name] = await stack.enter_async_context(serving(own, toml, slow=SLOW))
            places[name] = (await replicas[name].says(r"address\s+http://(\S+)/v1")).strip()
        balancer = stack.enter_context(haproxy(places))
        limits = httpx.Limits(max_keepalive_connections=0)
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=balancer.url, timeout=30, limits=limits, trust_env=False)
        )
        yield House(replicas, balancer, http)


def test_the_file() -> None:
    """HAProxy accepts the file, and every replica in it, without a warning."""
    replicas = {name: f"127.0.0.1:{free_port()}" for name in NAMES}
    text = written(replicas, free_port())
    assert check(text) == ""
    assert text.count(" 127.0.0.1:") == 4


def test_the_tls_in_a_comment(tmp_path: Path) -> None:
    """The line for TLS that the file shows in a comment is one that HAProxy accepts."""
    text = written({"proxy-0": "127.0.0.1:1"}, free_port())
    (line,) = re.findall(r"# (bind :443 ssl crt \S+ .*)", text)
    made = certificates(tmp_path)
    pem = tmp_path / "both.pem"
    pem.write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
    line = line.replace(":443", f"127.0.0.1:{free_port()}").replace("/etc/haproxy/certificate.pem", str(pem))
    assert check(text.replace("    default_backend", f"    {line}\n    default_backend", 1)) == ""


async def test_who_is_led_where(tmp_path: Path) -> None:
    """A session decides, then an API key; requests that have the same one go to the same replica."""
    async with house(tmp_path) as it:
        sessions = {str(number): await it.name({AFFINITY: str(number)}) for number in range(30)}
        assert set(sessions.values()) == set(NAMES)
        for number, name in sessions.items():
            assert await it.name({AFFINITY: number, "authorization": "Bearer other"}) == name
            assert await it.name({AFFINITY: "", "session_id": number}) == name
            for header in ("session-id", "x-session-id", "x-claude-code-session-id"):
                assert await it.name({header: number, "x-api-key": "another"}) == name
        for header in ("authorization", "x-api-key"):
            assert {await it.name({header: f"key {number}"}) for number in range(30)} == set(NAMES)
            assert len({await it.name({header: "mine"}) for _ in range(5)}) == 1
        assert len({await it.name() for _ in range(5)}) == 1


async def test_nothing_is_added(tmp_path: Path) -> None:
    """An answer has the same headers as without HAProxy, also one to a web page that is not allowed."""
    async with house(tmp_path) as it:
        both: tuple[dict[str, str], ...] = ({}, {"origin": "https://app.example"})
        for headers in both:
            balanced = await it.ask(headers)
            name = balanced.headers["x-proxy-replica"]
            url = await it.replicas[name].says(r"address\s+(\S+)/v1")
            async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
                directly = await http.post(f"{url}/v1/chat/completions", json=CHAT, headers=headers)
            assert balanced.status_code == directly.status_code == (403 if headers else 200)
            assert set(balanced.headers) == set(directly.headers) - {"connection"}


async def test_the_address_of_a_client(tmp_path: Path) -> None:
    """A client cannot claim another address: on another machine, nobody sees more of ``/health`` by it."""
    async with house(tmp_path) as it:
        await it.ask({"x-forwarded-for": "203.0.113.9"})
        for replica in it.replicas.values():
            assert "203.0.113.9" not in replica.said
        answer = await it.http.get("/health", headers={"x-forwarded-for": "203.0.113.9"})
        assert "backends" in answer.json()  # the client's true address is loopback


async def test_a_replica_is_killed(tmp_path: Path) -> None:
    """Who asks after that is led elsewhere at once, before HAProxy has noticed; the others stay."""
    async with house(tmp_path) as it:
        led = {str(number): await it.name({AFFINITY: str(number)}) for number in range(20)}
        gone = led["0"]
        it.replicas[gone].process.kill()
        await it.replicas[gone].process.wait()
        for number, name in led.items():
            now = await it.name({AFFINITY: number})
            assert now != gone
            assert name in {now, gone}


async def test_a_replica_drains(tmp_path: Path) -> None:
    """Between the signal and the end, no request fails, and those that are under way go on."""
    async with house(tmp_path) as it:
        name = await it.name({AFFINITY: "7"})
        replica, refused = it.replicas[name], []
        replica.process.send_signal(signal.SIGTERM)
        while replica.process.returncode is None:
            answer = await it.ask({AFFINITY: "7"})
            refused += [answer.text] if answer.status_code != 200 else []
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(replica.process.wait()), 0.05)
        assert refused == []
        assert await it.name({AFFINITY: "7"}) != name


async def test_a_replica_dies_while_it_answers(tmp_path: Path) -> None:
    """Such a request is not asked again: the client gets the error of its API, or a stream that breaks."""
    async with house(tmp_path) as it:
        body = {**CHAT, "model": "slow"}
        asked = asyncio.get_running_loop().create_task(it.http.post("/v1/chat/completions", json=body))
        name = await under_way(it)
        it.replicas[name].process.kill()
        answer = await asked
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "replica_failed")
        assert answer.headers["content-type"] == "application/json"


async def under_way(it: House) -> str:
    """Wait until a replica has begun to answer with the model that is slow; return its name."""
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as http:
        while True:
            for name, replica in it.replicas.items():
                url = await replica.says(r"address\s+(\S+)/v1")
                found = re.search(
                    r'requests_under_way\{backend="slow"\} (\S+)', (await http.get(f"{url}/metrics")).text
                )
                if found and float(found[1]):
                    return name
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_leaves(tmp_path: Path, stream: bool) -> None:
    """The replica hears of it at once, whether it has sent a part of the answer or nothing yet."""
    async with house(tmp_path) as it:
        body: dict[str, Any] = {**CHAT, "model": "slow", "stream": stream}
        asked = asyncio.get_running_loop().create_task(it.http.post("/v1/chat/completions", json=body))
        name = await under_way(it)
        asked.cancel()
        await asyncio.wait([asked])
        await it.replicas[name].says(r"499 .*client left")


async def test_a_stream_is_not_held_back(tmp_path: Path) -> None:
    """A word reaches the client while the answer is going on."""
    async with house(tmp_path) as it:
        body: dict[str, Any] = {**CHAT, "model": "slow", "stream": True}
        async with it.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            async with asyncio.timeout(20):
                async for line in answer.aiter_lines():
                    if "word" in line:
                        break


async def test_nobody_is_there(tmp_path: Path) -> None:
    """Without a replica, clients get an error that they can read, and try again later."""
    del tmp_path
    with haproxy({name: f"127.0.0.1:{free_port()}" for name in NAMES}) as balancer:
        async with httpx.AsyncClient(base_url=balancer.url, timeout=30, trust_env=False) as http:
            answer = await http.post("/v1/messages", json=CHAT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "error"
        assert answer.json()["error"]["code"] == "no_replica"
