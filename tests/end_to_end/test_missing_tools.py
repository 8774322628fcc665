"""A CLI that does not confirm every tool of a turn: another is tried, and then the client gets an error."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import ask
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.working import function


# Runs the real CLI, and hides the tools that it lists, as often as the file says.
WRAPPER = """
import pathlib, re, subprocess, sys
times, cli, *arguments = sys.argv[1:]
left = pathlib.Path(times)
process = subprocess.Popen([cli, *arguments], stdout=subprocess.PIPE)
for line in process.stdout:
    if b'"subtype":"init"' in line and int(left.read_text()):
        left.write_text(str(int(left.read_text()) - 1))
        line = re.sub(rb'"tools":\\[[^]]*\\]', b'"tools":[]', line)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
sys.exit(process.wait())
"""


@pytest.mark.parametrize(("times", "status", "asked"), [(1, 200, 2), (9, 502, 2)], ids=["once", "always"])
async def test_missing_tools(
    times: int,
    status: int,
    asked: int,
    cli: str,
    run_proxy: StartProxy,
    upstream: ScriptedUpstream,
    tmp_path: Path,
) -> None:
    """If a process lacks a tool, one more is tried; no answer is made without the tool."""
    wrapper, left = tmp_path / "wrapper.py", tmp_path / "times"
    wrapper.write_text(WRAPPER)
    left.write_text(str(times))
    proxy = await run_proxy([sys.executable, str(wrapper), str(left), cli])

    async with proxy.client() as client:
        response = await ask(client, "hi", tools=[function("look")])

    assert response.status_code == status, response.text
    if status == 502:
        assert response.json()["error"]["code"] == "tools_missing"
        assert "'look'" in response.json()["error"]["message"]
    assert len(upstream.requests) <= asked
