"""The log of a real ``serve``: every request is in it, with the id that its answer has."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.serving_process import CHAT, Serving, ask, serving, write


pytestmark = pytest.mark.slow
KEYS = '[server]\napi_keys = { me = "a-long-key" }\n'
ME = {"authorization": "Bearer a-long-key"}
UNLUCKY = """
import logging
import claude_max_proxy as proxy

@proxy.hookimpl
def rewrite_request(request):
    logging.getLogger("unlucky").warning("said\\nin between")
"""
# A path, its headers and its body, and the status, the dialect and the level of its line.
ASKED: list[tuple[str, dict[str, str], Any, tuple[int, str, str]]] = [
    ("/v1/chat/completions", ME, CHAT, (200, "openai-chat", "info")),
    ("/v1/chat/completions", {"authorization": "Bearer wrong"}, CHAT, (401, "openai-chat", "warning")),
    ("/v1/chat/completions", {**ME, "origin": "https://evil.example"}, CHAT, (403, "openai-chat", "warning")),
    ("/v1/chat/completions", ME, {"model": "echo"}, (400, "openai-chat", "info")),
    ("/v1/responses", ME, {"model": "no\nsuch", "input": "hi"}, (404, "openai-responses", "info")),
    ("/v1/messages", {**ME, "content-type": "text/plain"}, CHAT, (415, "anthropic-messages", "info")),
    ("/v1/embeddings", ME, {"model": "echo", "input": "hi"}, (404, "openai-embeddings", "info")),
    ("/v1/messages/count_tokens", ME, {**CHAT, "model": "x"}, (404, "anthropic-messages-count", "info")),
    ("/wp-login\u2028.php", ME, {}, (404, "", "info")),
]


# What is refused before anybody looks at the key, and what has no key.
NAMELESS = ("invalid_api_key", "forbidden", "unsupported_media_type", "route_not_found")


def lines_of(proxy: Serving) -> list[dict[str, Any]]:
    """Return the lines that were logged so far."""
    return [json.loads(line) for line in proxy.said.splitlines() if line.startswith("{")]


async def test_every_request(tmp_path: Path) -> None:
    """One line for every request, refused ones too, with the id of its answer, as values for programs."""
    toml = f'{KEYS}log_format = "json"\n'
    async with serving(tmp_path, toml, unlucky=UNLUCKY) as proxy:
        url = (await proxy.says(r"address\s+(\S+)")).removesuffix("/v1")
        ids = []
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            for path, headers, body, expected in ASKED:
                answer = await http.post(path, headers=headers, json=body)
                assert answer.status_code == expected[0], answer.text
                assert answer.headers["request-id"] == answer.headers["x-request-id"]
                ids.append(answer.headers["request-id"])
        await proxy.says(ids[-1])
        requests = [line for line in lines_of(proxy) if line["logger"] == "claude_max_proxy.access"]
        assert [line["request_id"] for line in requests] == ids
        for line, (path, _, _, expected) in zip(requests, ASKED, strict=True):
            assert (line["status"], line.get("dialect", ""), line["level"]) == expected
            assert line["path"] == path
            assert line.get("key") == (None if line.get("code") in NAMELESS else "me")
            assert line["program"].startswith("python-httpx/")
        own = [line for line in lines_of(proxy) if line["logger"] == "unlucky"]
        assert [line["request_id"] for line in own] == [ids[0], ids[-2]][: len(own)]
        assert own


async def test_people_read_text(tmp_path: Path) -> None:
    """For people, each line of a request begins with its id and the replica; a pipe gets no colour."""
    async with serving(tmp_path, '[server]\nreplica = "one"\n', unlucky=UNLUCKY) as proxy:
        answer = await ask(await proxy.says(r"address\s+(\S+)"))
        name = answer.headers["x-request-id"]
        await proxy.says(rf"INFO    \[{name} one\] 200  openai-chat  echo  → claude/one")
        await proxy.says(rf"WARNING \[{name} one\] said\\nin between")
        assert "\x1b" not in proxy.said


async def test_the_level_follows_a_reload(tmp_path: Path) -> None:
    """A reload applies ``log_level``, and says which other settings of the log need a restart."""
    async with serving(tmp_path, '[server]\nlog_level = "warning"\n') as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        quiet = (await ask(url)).headers["request-id"]
        file = tmp_path / "proxy.toml"
        text = file.read_text()
        file.write_text(text.replace('"warning"', '"info"\nlog_format = "json"\nlog_files = 7'))
        await proxy.says(r"waiting for a restart: server.log_format, server.log_files")
        loud = (await ask(url)).headers["request-id"]
        await proxy.says(loud)
        assert quiet not in proxy.said
        file.write_text(text.replace('"warning"', '"debug"'))
        await proxy.says(r"changed: server.log_level")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--log-level", "info"], True),
        (["--log-level", "error"], False),
        (["-v"], True),
        (["-v", "--log-level", "error"], False),
    ],
)
async def test_options_take_precedence(tmp_path: Path, words: list[str], expected: bool) -> None:
    """What the command line says counts, whatever the file says, also after a reload."""
    async with serving(tmp_path, '[server]\nlog_level = "error"\n', *words) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        name = (await ask(url)).headers["request-id"]
        assert await proxy.stop() == 0
    assert (name in proxy.said) is expected


async def test_a_file_in_the_configuration(tmp_path: Path) -> None:
    """``[server] log_file`` gets the same lines, and never more of them than its bound allows."""
    path = tmp_path / "log" / "proxy.log"
    toml = f'[server]\nlog_file = "{path}"\nlog_file_bytes = 2000\nlog_files = 3\nlog_format = "json"\n'
    async with serving(tmp_path, toml) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        ids = [(await ask(url)).headers["request-id"] for _ in range(30)]
        assert await proxy.stop() == 0
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["proxy.log", "proxy.log.1", "proxy.log.2"]
    assert all(file.stat().st_size <= 2000 for file in files)
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert ids[-1] in {line.get("request_id") for line in lines}


@pytest.mark.parametrize(
    ("toml", "words", "setting"),
    [('log_file = "file/log"', (), "server.log_file"), ("", ("--log-file", "file/log"), "--log-file")],
)
def test_a_file_that_cannot_be(tmp_path: Path, toml: str, words: tuple[str, ...], setting: str) -> None:
    """A file that cannot be written is told before anything is served, with what named it."""
    (tmp_path / "file").write_text("")
    config = write(tmp_path, f"[server]\n{toml}\n")
    command = [sys.executable, "-m", "claude_max_proxy", "serve", "-c", str(config), *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"Error: {setting}: file/log cannot be written: " in ended.stderr


@pytest.mark.parametrize(("environment", "expected"), [({}, True), ({"NO_COLOR": "1"}, False)])
async def test_a_terminal(tmp_path: Path, environment: dict[str, str], expected: bool) -> None:
    """On a real terminal a warning has a colour, unless the user does not want any."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    async with serving(tmp_path, KEYS, stderr=theirs, environment={"TERM": "xterm", **environment}) as proxy:
        answer = await ask(await proxy.says(r"address\s+(\S+)"), key="wrong")
        assert answer.status_code == 401
        said = ""
        async with asyncio.timeout(10):
            while answer.headers["request-id"] not in said:
                said += (await asyncio.to_thread(os.read, ours, 4096)).decode()
    os.close(theirs)
    os.close(ours)
    assert bool(re.search(r"\x1b\[33mWARNING\x1b\[0m", said)) is expected
