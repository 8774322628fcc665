"""Secrets and prompts are put into every place that may contain one, and searched for in all output."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from claude_max_proxy.cli.commands import config_show, doctor
from claude_max_proxy.config import load
from claude_max_proxy.config.secret import masked_url, secrets_of_url
from claude_max_proxy.http_upstream import client as client_module
from claude_max_proxy.http_upstream.endpoint import endpoint
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from tests.raw_server import CLOSE, RawServer, Step, whole


CANARY = "canary-7d1f"
PROMPT = "what-was-said-in-confidence"
TOML = """
[models]
"o" = "local/m"
"a" = "anthropic-api/m"

[backends.local]
type = "openai"
base_url = "{url}/v1?key={canary}-query&plain={canary}-other"
api_key = "{canary}-api-key"
headers = {{ "x-plain" = "{canary}-header" }}
retries = 1
first_byte_timeout = {patience}
idle_timeout = {patience}

[backends.anthropic-api]
type = "anthropic"
base_url = "{url}?{canary}-bare"
api_key = "{canary}-api-key"
headers = {{ "x-plain" = "{canary}-header" }}
retries = 1
first_byte_timeout = {patience}
idle_timeout = {patience}

[plugins]
paths = []
"""
ECHO = msgspec.json.encode(
    {"error": {"message": f"bad: {PROMPT} and {PROMPT * 500}", "type": "invalid_request_error", "code": "x"}}
)
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


FAILURES: dict[str, list[Step]] = {
    "refused": [whole(ECHO, "400 X")],
    "no key": [whole(ECHO, "401 X")],
    "not found": [whole(ECHO, "404 X")],
    "limited": [whole(ECHO, "429 X")],
    "failed": [whole(ECHO, "500 X")],
    "overloaded": [whole(ECHO, "503 X")],
    "elsewhere": [whole(b"", "302 X", "Location: http://127.0.0.1/")],
    "nonsense": [whole(f"<html>{PROMPT}</html>".encode())],
    "nothing": [CLOSE],
    "no HTTP": [b"SSH-2.0\r\n", CLOSE],
    "cut": [SSE, chunk(b"data: {"), CLOSE],
    "an error in a stream": [SSE, chunk(b"event: error\ndata: " + ECHO + b"\n\n"), b"0\r\n\r\n"],
    "an event that is nonsense": [SSE, chunk(b'data: {"choices": 5}\n\n'), b"0\r\n\r\n"],
    "silence": [30.0],
}


def toml(url: str, patience: float = 10) -> str:
    """Return the configuration for an upstream, with the time limits of its answers in seconds."""
    return TOML.format(url=url, canary=CANARY, patience=patience)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that asks a proxy whose upstream does one thing, and returns everything that comes back."""
    monkeypatch.setattr(client_module, "_BACKOFF", 0.001)

    async def ask(script: list[Step], **fields: Any) -> tuple[str, str]:
        async with RawServer(*[script] * 20) as server:
            (tmp_path / "proxy.toml").write_text(
                toml(server.url, 0.3 if script == FAILURES["silence"] else 10)
            )
            runtime = Runtime(load(tmp_path / "proxy.toml"))
            del runtime.backends["claude"]
            await runtime.start()
            transport = httpx.ASGITransport(build_app(runtime), raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", timeout=20
            ) as http:
                answers = ""
                for model in ("o", "a"):
                    for stream in (False, True):
                        body = {
                            "model": model,
                            "stream": stream,
                            "messages": [{"role": "user", "content": PROMPT}],
                        }
                        answers += (await http.post("/v1/chat/completions", json=body)).text
                if fields.get("embeddings"):
                    answers += (await http.post("/v1/embeddings", json={"model": "o", "input": "x"})).text
                health = (await http.get("/health")).text
            await runtime.stop()
        return answers, health

    return ask


@pytest.mark.parametrize("script", FAILURES.values(), ids=FAILURES)
async def test_neither_answers_nor_logs_hold_a_secret(
    house: Any, script: list[Step], caplog: pytest.LogCaptureFixture
) -> None:
    """However an upstream fails, no secret is shown, and no log and no ``/health`` contains the prompt."""
    with caplog.at_level(logging.DEBUG):
        async with asyncio.timeout(60):
            answers, health = await house(script, embeddings=True)
    ours = "\n".join(
        f"{record.getMessage()} {record.exc_text or ''}"
        for record in caplog.records
        if record.name.startswith("claude_max_proxy")
    )
    for shown in (answers, health, ours):
        assert CANARY not in shown
    for kept in (health, ours):
        assert PROMPT not in kept
    assert "error" in answers
    assert len(answers) < 20_000  # the provider's message is cut


def test_config_show(tmp_path: Path) -> None:
    """``config show`` masks the secrets in URLs and headers, and shows where a secret comes from."""
    (tmp_path / "proxy.toml").write_text(toml("http://127.0.0.1:9"))
    shown = CliRunner().invoke(config_show, ["-c", str(tmp_path / "proxy.toml")])
    assert shown.exit_code == 0
    assert CANARY not in shown.output
    assert "http://127.0.0.1:9/v1?key=********" in shown.output
    assert 'x-plain = "********"' in shown.output


@pytest.mark.parametrize("way", [[], ["--json"]], ids=["text", "json"])
def test_doctor(tmp_path: Path, way: list[str]) -> None:
    """``doctor`` names the upstream that cannot be reached, without the secrets in its URL."""
    (tmp_path / "proxy.toml").write_text(toml("http://127.0.0.1:9"))
    shown = CliRunner().invoke(doctor, ["-c", str(tmp_path / "proxy.toml"), "--no-round-trip", *way])
    assert "cannot be reached: Connection refused" in shown.output
    assert CANARY not in shown.output


@pytest.mark.parametrize(
    "url", [f"http://user:{CANARY}@127.0.0.1/v1", f"http://{CANARY}@127.0.0.1", f"ftp://h/?k={CANARY}"]
)
def test_a_url_that_is_refused(tmp_path: Path, url: str) -> None:
    """A URL that cannot be used is refused without being repeated."""
    (tmp_path / "proxy.toml").write_text(f'[backends.b]\ntype = "openai"\nbase_url = "{url}"\n')
    for command, options in ((config_show, []), (doctor, ["--no-round-trip"])):
        shown = CliRunner().invoke(command, ["-c", str(tmp_path / "proxy.toml"), *options])
        assert CANARY not in shown.output + repr(shown.exception)


def test_representations() -> None:
    """Neither settings nor endpoints show the secrets in their URL when they are printed."""
    settings = HttpSettings(base_url=f"http://h/v1?x={CANARY}", api_key=CANARY, headers={"x": CANARY})
    made = endpoint("b", settings, {"authorization": CANARY})
    assert CANARY not in repr(settings) + repr(made) + made.shown
    assert CANARY in made.url("/models")


@pytest.mark.parametrize(
    ("url", "shown", "hidden"),
    [
        ("http://h:1/v1", "http://h:1/v1", []),
        ("https://u:p@h/v1", "https://********@h/v1", ["u:p", "u", "p"]),
        ("http://a@b@c/x", "http://********@c/x", ["a@b", "a@b"]),
        ("http://h?k=v&w", "http://h?k=********&********", ["v", "w"]),
        ("http://h/?a=b=c;d=#f", "http://h/?a=********;d=#********", ["b=c", "f"]),
        ("no URL?k=v", "no URL?k=v", []),
        ("", "", []),
    ],
)
def test_urls(url: str, shown: str, hidden: list[str]) -> None:
    """A URL is shown without its user and the values of its query, and both are known as secrets."""
    assert masked_url(url) == shown
    assert list(secrets_of_url(url)) == hidden
