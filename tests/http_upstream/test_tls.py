"""TLS and HTTP/2, with a real server whose certificate comes from our own authority."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import msgspec
import pytest
from hypercorn.config import Config

from claude_max_proxy import ConfigError, Message, Request, Text, collect
from claude_max_proxy.backends.openai_api.backend import OpenAIApi
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpSettings, HttpUpstream
from claude_max_proxy.http_upstream.trust import trusted
from tests.certificates import Certificates, certificates


WAYS = {"HTTP/1.1": False, "HTTP/2": True}
PIECES = ("Hello ", "over ", "TLS.")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without proxies in the environment, and without cached trust."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    trusted.cache_clear()


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    """Return an authority and the certificates that it signed."""
    return certificates(tmp_path)


class Server:
    """An application that says which version of HTTP was used, and answers a chat in pieces."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.connections: set[Any] = set()
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        while (await receive()).get("more_body"):
            pass
        self.versions.append(scope["http_version"])
        self.connections.add(scope["client"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in PIECES:
            chunk = {"model": "m", "choices": [{"delta": {"content": piece}}]}
            body = b"data: " + msgspec.json.encode(chunk) + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
        end = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        await send({"type": "http.response.body", "body": end})


@asynccontextmanager
async def serving(made: Certificates) -> AsyncIterator[Server]:
    """Serve with this certificate on a free port, HTTP/1.1 and HTTP/2."""
    server, ended = Server(), asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    server.url = f"https://127.0.0.1:{listening.getsockname()[1]}/v1"
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # which it closes
    config.certfile, config.keyfile = str(made.certificate), str(made.key)
    config.graceful_timeout = 0.5
    config.errorlog = None
    serve = hypercorn.asyncio.serve(server, config, shutdown_trigger=ended.wait)
    task = asyncio.get_running_loop().create_task(serve)
    try:
        yield server
    finally:
        ended.set()
        await asyncio.wait_for(task, 10)


def backend(url: str, **settings: Any) -> OpenAIApi:
    """Return the backend under test, which does not try again."""
    return OpenAIApi("my", OpenAIApiSettings(base_url=url, retries=0, **settings))


async def ask(asked: OpenAIApi) -> str:
    """Ask the backend for a chat."""
    request = Request("m", messages=[Message("user", [Text("hi")])])
    reply = await collect(asked.answer(request, "m"))
    if reply.error is not None:
        raise reply.error
    return reply.text


@pytest.mark.parametrize("http2", WAYS.values(), ids=WAYS)
async def test_a_chat(made: Certificates, http2: bool) -> None:
    """A server with a configured authority is used, with the wanted version, over one connection."""
    async with serving(made) as server:
        asked = backend(server.url, http2=http2, tls_ca=str(made.authority))
        await asked.start()
        try:
            assert [await ask(asked) for _ in range(3)] == ["".join(PIECES)] * 3
        finally:
            await asked.stop()
    assert server.versions == ["2" if http2 else "1.1"] * 3
    assert len(server.connections) == 1


async def test_the_check(made: Certificates) -> None:
    """The check trusts the same authorities as the backend."""
    async with serving(made) as server:
        for authority, status in ((str(made.authority), "ok"), ("", "fail")):
            settings = HttpSettings(base_url=server.url, tls_ca=authority)
            assert (await HttpUpstream("my", settings, {}).check("/models").run()).status == status


@pytest.mark.parametrize("http2", WAYS.values(), ids=WAYS)
async def test_both_ways_at_once(made: Certificates, http2: bool) -> None:
    """A backend that speaks HTTP/2 does not make others offer it."""
    async with serving(made) as server:
        both = [backend(server.url, http2=way, tls_ca=str(made.authority)) for way in (http2, not http2)]
        for one in both:
            await one.start()
        try:
            for one in both:
                assert await ask(one) == "".join(PIECES)
        finally:
            for one in both:
                await one.stop()
    assert sorted(server.versions) == ["1.1", "2"]


@pytest.mark.parametrize("http2", WAYS.values(), ids=WAYS)
async def test_the_environments_authorities(
    made: Certificates, http2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSL_CERT_FILE` names the trusted authorities."""
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    async with serving(made) as server:
        asked = backend(server.url, http2=http2)
        await asked.start()
        try:
            assert await ask(asked) == "".join(PIECES)
        finally:
            await asked.stop()


@pytest.mark.parametrize("http2", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("foreign", [True, False], ids=["an unknown authority", "another's name"])
async def test_who_is_not_trusted(tmp_path: Path, http2: bool, foreign: bool) -> None:
    """A certificate from an unknown authority, or for another host, is reported as what it is."""
    made = certificates(tmp_path, "127.0.0.1" if foreign else "127.0.0.2")
    async with serving(made) as server:
        asked = backend(server.url, http2=http2, tls_ca="" if foreign else str(made.authority))
        await asked.start()
        try:
            with pytest.raises(UpstreamFailed, match=r"cannot be reached: .*(?i:certificate)"):
                await ask(asked)
        finally:
            await asked.stop()
    assert server.versions == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"hello", "holds no certificate in PEM form")],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A missing or invalid file is a mistake of the configuration, reported at once with its path."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"backends\.my\.tls_ca: .*{words}"):
        HttpUpstream("my", HttpSettings(base_url="https://127.0.0.1", tls_ca=str(file)), {})
