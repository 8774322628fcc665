"""How the server ends: what it waits for, what it sends to clients, and that nothing can prevent it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.cli.serving_process import CHAT, Serving, serving


pytestmark = pytest.mark.slow
SLOW = '''
import asyncio
from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy import Finished, PartDelta, PartStarted, Settings, Started, hookimpl


class Table(Settings, frozen=True):
    pass


class Slow(Backend):
    """Says a word, and no more; the model "mute" says none, and "tough" does not want to end."""

    def __init__(self, name, settings):
        self.name = name

    async def start(self):
        pass

    async def stop(self):
        pass

    async def answer(self, request, model):
        if model != "mute":
            yield Started("slow")
            yield PartStarted(0, "text")
            yield PartDelta(0, "word")
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if model != "tough":
                    raise

    async def embed(self, body, model):
        await asyncio.sleep(3600)

    def describe(self, model):
        return ModelInfo(model)

    def health(self):
        return {"status": "ok"}


@hookimpl
def register_backends(register):
    register("slow", Table, Slow)
'''
TOML = """
slow = "slow/one"
mute = "slow/mute"
tough = "slow/tough"

[backends.slow]
type = "slow"

[server]
drain_timeout = {drain}
"""
BODIES: dict[str, Any] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
    "/v1/responses": {"input": "hi"},
}


@asynccontextmanager
async def slow(folder: Path, drain: float = 0.5, **sources: str) -> AsyncIterator[tuple[Serving, str]]:
    """Yield a proxy whose answers do not end, and its address."""
    async with serving(folder, TOML.format(drain=drain), plugins=sources, slow=SLOW) as proxy:
        yield proxy, (await proxy.says(r"address\s+(\S+)/v1"))


async def heard(http: httpx.AsyncClient, url: str, body: dict[str, Any], begun: asyncio.Event) -> str:
    """Send a request, and return everything that comes back."""
    text = ""
    async with http.stream("POST", url, json=body) as response:
        async for piece in response.aiter_text():
            text += piece
            if "word" in text:
                begun.set()
    return text


async def test_streams_that_are_broken_off(tmp_path: Path) -> None:
    """When the time for draining is over, each stream says so in the words of its API, and ends properly."""
    async with slow(tmp_path) as (proxy, url), httpx.AsyncClient(timeout=20) as http:
        begun = [asyncio.Event() for _ in BODIES]
        asked = [
            asyncio.get_running_loop().create_task(
                heard(http, url + path, {**body, "model": "slow", "stream": True}, event)
            )
            for (path, body), event in zip(BODIES.items(), begun, strict=True)
        ]
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in begun)), 20)
        assert await proxy.stop() == 0
        texts = dict(zip(BODIES, await asyncio.gather(*asked), strict=True))  # a bare cut would raise
    for path, text in texts.items():
        assert "was told to stop" in text, path
        assert ("event: error" in text) == (path == "/v1/messages")
        assert ("response.failed" in text) == (path == "/v1/responses")
    assert "stopping: waiting up to 0.5 s for 4 answers; again to stop now" in proxy.said
    assert "4 answers did not end in time" in proxy.said
    assert "Traceback" not in proxy.said


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", [*BODIES, "/v1/embeddings"])
async def test_answers_that_have_not_begun(tmp_path: Path, path: str, stream: bool) -> None:
    """A client that has received nothing yet gets a status, in the envelope of its API."""
    body = {**BODIES.get(path, {"input": "hi"}), "model": "mute"} | ({"stream": True} if stream else {})
    async with slow(tmp_path) as (proxy, url), httpx.AsyncClient(timeout=20) as http:
        asked = asyncio.get_running_loop().create_task(http.post(url + path, json=body))
        await asyncio.sleep(0.5)
        assert await proxy.stop(signal.SIGINT) == 0
        answer = await asked
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["error"]["code"] == "proxy_stopping"
    assert "for 1 answer;" in proxy.said
    assert "Traceback" not in proxy.said


async def test_nothing_to_wait_for(tmp_path: Path) -> None:
    """If no answer is under way, the server ends at once, whoever is connected."""
    async with slow(tmp_path, 20) as (proxy, url), httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/health")).status_code == 200
        writers = [
            (await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])))[1] for _ in range(3)
        ]
        writers[1].write(b"GET / HTTP/1.1\r\nHost")
        before = time.monotonic()
        assert await proxy.stop() == 0
        assert time.monotonic() - before < 5
        for writer in writers:
            writer.close()
    assert "stopping\n" in proxy.said


STREAM = """
import asyncio
import claude_max_proxy as proxy

async def pieces():
    while True:
        yield b"data: word\\n\\n"
        await asyncio.sleep(0.05)

@proxy.hookimpl
def register_routes(register):
    stream = lambda call: proxy.Response(pieces(), media_type="text/event-stream")
    register(proxy.Route("GET", "/stream", stream))
"""


async def test_nobody_waits_for_the_streams_of_plugins(tmp_path: Path) -> None:
    """What a page shows live ends at once, and properly, when the proxy is told to stop."""
    async with serving(tmp_path, own=STREAM) as proxy, httpx.AsyncClient(timeout=20) as http:
        url = await proxy.says(r"address\s+(\S+)")
        async with http.stream("GET", url.removesuffix("/v1") + "/stream") as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"data: word\n\n"
            before = time.monotonic()
            assert await proxy.stop() == 0
            assert time.monotonic() - before < 10  # drain_timeout is 30
            async for _ in pieces:  # a bare cut would raise
                pass
    assert "stopping\n" in proxy.said
    assert "Traceback" not in proxy.said


async def test_a_load_balancer_is_told_first(tmp_path: Path) -> None:
    """With ``drain_notice``, the proxy serves as usual for a while and says that it is not ready."""
    async with (
        serving(tmp_path, "\n[server]\ndrain_notice = 3\n") as proxy,
        httpx.AsyncClient(timeout=20) as http,
    ):
        url = (await proxy.says(r"address\s+(\S+)")).removesuffix("/v1")
        assert (await http.get(f"{url}/health/ready")).json() == {"status": "ok"}
        proxy.process.send_signal(signal.SIGTERM)
        await proxy.says("stopping in 3 s")
        ready = await http.get(f"{url}/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
        assert (await http.get(f"{url}/health/live")).status_code == 200
        async with httpx.AsyncClient(timeout=20) as another:
            assert (await another.post(f"{url}/v1/chat/completions", json=CHAT)).status_code == 200
        assert await asyncio.wait_for(proxy.process.wait(), 20) == 0
    assert "Traceback" not in proxy.said


async def test_nobody_waits_at_a_closed_door(tmp_path: Path) -> None:
    """While answers end, a new client is refused at once, so that a load balancer asks another replica."""
    async with slow(tmp_path, drain=30) as (proxy, url), httpx.AsyncClient(timeout=20) as http:
        body = {**BODIES["/v1/chat/completions"], "model": "slow", "stream": True}
        async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            proxy.process.send_signal(signal.SIGTERM)
            await proxy.says("stopping: waiting up to 30 s for 1 answer")
            async with httpx.AsyncClient(timeout=20) as another:
                with pytest.raises(httpx.ConnectError):
                    await another.get(f"{url}/health/live")
        assert await asyncio.wait_for(proxy.process.wait(), 20) == 0


# --- what does not want to end

BLOCKING = """
import time
from claude_max_proxy import hookimpl


@hookimpl
def rewrite_request(request):
    time.sleep(3600)
"""
THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(3600,)).start()
"""
EXECUTOR = """
import asyncio, time
from claude_max_proxy import hookimpl


@hookimpl
async def rewrite_request(request):
    await asyncio.to_thread(time.sleep, 3600)
"""
STUBBORN: dict[str, tuple[str, dict[str, str]]] = {
    "an answer": ("slow", {}),
    "an answer that swallows its end": ("tough", {}),
    "a hook that blocks": ("slow", {"stubborn": BLOCKING}),
    "a thread": ("slow", {"stubborn": THREAD}),
    "a thread that is waited for": ("slow", {"stubborn": EXECUTOR}),
}
stubborn = pytest.mark.parametrize(("model", "sources"), STUBBORN.values(), ids=STUBBORN)


async def ask_and_read_nothing(url: str, model: str) -> asyncio.StreamWriter:
    """Return a client that asks for a stream and never reads it."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    body = msgspec.json.encode({**BODIES["/v1/chat/completions"], "model": model, "stream": True})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    await asyncio.sleep(0.4)
    return writer


@stubborn
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
async def test_the_second_signal(
    tmp_path: Path, model: str, sources: dict[str, str], second: signal.Signals
) -> None:
    """The second signal ends it at once, whatever is under way, with one line; no socket file remains."""
    path = tmp_path / "proxy.sock"
    async with slow(tmp_path, 600, **sources) as (proxy, url):
        writer = await ask_and_read_nothing(url, model)
        proxy.process.send_signal(signal.SIGTERM)
        if sources.get("stubborn") != BLOCKING:  # after which nothing can be sent
            await proxy.says("again to stop now")
        await asyncio.sleep(0.2)
        before = time.monotonic()
        assert await proxy.stop(second) == 128 + second
        assert time.monotonic() - before < 2
        writer.close()
    assert proxy.said.endswith("stopped at once\n")
    assert "Traceback" not in proxy.said
    assert not path.exists()


@pytest.mark.parametrize(
    "name", ["an answer that swallows its end", "a thread", "a thread that is waited for"]
)
async def test_one_signal_is_enough(tmp_path: Path, name: str) -> None:
    """What has not ended after the draining is not waited for."""
    model, sources = STUBBORN[name]
    async with slow(tmp_path, 0.5, **sources) as (proxy, url):
        writer = await ask_and_read_nothing(url, model)
        assert await proxy.stop() == 0
        writer.close()
    assert "Traceback" not in proxy.said


async def test_a_socket_file_goes_with_the_second_signal(tmp_path: Path) -> None:
    """A Unix socket is removed in this case, too."""
    path = tmp_path / "proxy.sock"
    toml = TOML.format(drain=600) + f'unix_socket = "{path}"\n'
    async with serving(tmp_path, toml, slow=SLOW) as proxy:
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, timeout=20) as http:
            body = {**BODIES["/v1/chat/completions"], "model": "mute"}
            asked = asyncio.get_running_loop().create_task(
                http.post("http://localhost/v1/chat/completions", json=body)
            )
            await asyncio.sleep(0.5)
            proxy.process.send_signal(signal.SIGTERM)
            await proxy.says("for 1 answer")
            assert path.exists()
            assert await proxy.stop() == 128 + signal.SIGTERM
            with pytest.raises(httpx.TransportError):
                await asked
    assert not path.exists()
