"""A CLI of an unknown version is tested before it is trusted with a client's tools."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from claude_max_proxy.backends.claude_cli.probe import Findings, try_out
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import answer, ask
from tests.end_to_end.conftest import StartProxy


# A CLI of another version, which changes the tools in the body as CHANGE says.
WRAPPER = """#!{python}
import json, subprocess, sys, threading

if sys.argv[1:] == ["--version"]:
    print("9.9.9 (Claude Code)")
    sys.exit()
child = subprocess.Popen([{cli!r}, *sys.argv[1:]], stdin=subprocess.PIPE)

def pretend(line):
    request_id = json.loads(line)["request_id"].encode()
    answer = b'{{"type":"control_response","response":{{"subtype":"success","request_id":"%b",'
    answer += b'"response":{{"rewound":true}}}}}}\\n'
    sys.stdout.buffer.write(answer % request_id)
    sys.stdout.buffer.flush()
    return True

for line in sys.stdin.buffer:
    {change}
    child.stdin.write(line)
    child.stdin.flush()
child.stdin.close()
sys.exit(child.wait())
"""
FORGETS = r'line = line.replace(rb"{\"tools\":", rb"{\"metadata\":")'
CHANGES = r'line = line.replace(b"unheard-of", b"date")'
# One that cannot remove messages, and one that claims that it did but did not.
KEEPS = r'line = line.replace(b"rewind_conversation", b"never_heard_of_it")'
STAYS = r'line = b"" if b"rewind_conversation" in line and pretend(line) else line'
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def wrapped(folder: Path, cli: str, change: str = "pass") -> str:
    """Write the wrapper; return its path."""
    path = folder / "claude"
    path.write_text(WRAPPER.format(python=sys.executable, cli=cli, change=change))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("change", "arrive", "rewinds"),
    [
        ("pass", True, True),
        (CHANGES, False, True),
        (KEEPS, True, False),
        (STAYS, True, False),
    ],
)
async def test_the_probe(change: str, arrive: bool, rewinds: bool, cli: str, tmp_path: Path) -> None:
    """The test finds out whether tools arrive, and whether a conversation can be reset, by what is sent."""
    found = await try_out([wrapped(tmp_path, cli, change)], ClaudeCliSettings())
    assert found == Findings(arrive, rewinds)


async def test_tools_that_do_not_arrive(cli: str, tmp_path: Path) -> None:
    """The test notices if the CLI describes tools in its own words."""
    assert (await try_out([wrapped(tmp_path, cli, FORGETS)], ClaudeCliSettings())).tools_arrive is False


async def test_no_cli(tmp_path: Path) -> None:
    """Nothing is known of a program that sends no request."""
    path = tmp_path / "claude"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o700)
    assert await try_out([str(path)], ClaudeCliSettings()) == Findings()


async def test_a_new_version(
    cli: str, run_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A version that passes is used like any other, and the provider receives nothing of its test."""
    proxy = await run_proxy(wrapped(tmp_path, cli))
    async with proxy.client() as client:
        assert await answer(client, "hello", tools=[TOOL]) == "You said: hello"
    assert len(upstream.requests) == 1


async def test_a_version_that_changes_tools(
    cli: str, run_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """One that fails is used without tools, and a request with tools is told so."""
    proxy = await run_proxy(wrapped(tmp_path, cli, FORGETS))
    async with proxy.client() as client:
        refused = await ask(client, "hello", tools=[TOOL])
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "tools_changed")
        assert "9.9.9" in refused.json()["error"]["message"]
        assert await answer(client, "hello") == "You said: hello"
    assert len(upstream.requests) == 1
    assert "9.9.9" in (await proxy.health())["problem"]


async def test_a_version_that_takes_nothing_back(
    cli: str, run_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """If the processes of a version cannot be used again, each conversation gets its own process."""
    proxy = await run_proxy(wrapped(tmp_path, cli, KEEPS))
    async with proxy.client() as client:
        for number in range(3):
            assert await answer(client, f"number {number}") == f"You said: number {number}"
            sent = json.dumps(upstream.requests[-1].body)
            assert f"number {number - 1}" not in sent
    sessions = {request.body["metadata"]["user_id"] for request in upstream.requests}
    assert (len(upstream.requests), len(sessions)) == (3, 3)
