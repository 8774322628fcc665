"""What an agent starts ends with its request, wherever it hides and whatever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.chatting import ask
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, until
from tests.end_to_end.working import MODELS


PROXY_TOML = (
    MODELS
    + """
worker.to = "claude/sonnet"
worker.agent = { tools = ["Bash"], directory = "~/project", permission_mode = "acceptEdits" }
"""
)
SCRIPT = "trap '' TERM HUP INT; echo $$ > {file}; while :; do sleep 0.2; done"
# How the program hides from a search for it.
QUIET = ">/dev/null 2>&1 </dev/null"
HIDDEN = {
    "in the background": "sh {script} &",
    "without a terminal": f"nohup sh {{script}} {QUIET} &",
    "in its own session": f"setsid sh {{script}} {QUIET} &",
    "forked twice": f"(setsid sh -c '(sh {{script}} {QUIET} &) &' &)",
    "without its environment": f"(env -i PATH=\"$PATH\" setsid sh -c '(sh {{script}} {QUIET} &) &' &)",
}


class Stray:
    """A program that Bash starts, which writes its process id to a file."""

    def __init__(self, folder: Path, how: str) -> None:
        self.file = folder / "pid"
        script = folder / "stray.sh"
        script.write_text(SCRIPT.format(file=self.file))
        launch = folder / "launch.sh"  # the CLI examines the commands that it runs, but not this file
        waiting = f"while [ ! -s {self.file} ]; do sleep 0.05; done"
        launch.write_text(f"{HIDDEN[how].format(script=script)}\n{waiting}\n")
        self.command = f"sh {launch}"

    @property
    def pid(self) -> int:
        """Return its process id, once it runs."""
        return int(self.file.read_text())

    @property
    def runs(self) -> bool:
        """Return whether it is running."""
        try:
            return "stray.sh" in Path(f"/proc/{self.pid}/cmdline").read_text()
        except (OSError, ValueError):
            return False

    async def begins(self) -> None:
        """Wait until it is running."""
        assert await until(lambda: self.runs, 20)

    async def ends(self, within: float = 10.0) -> None:
        """Wait for its end; if it does not end, kill it and fail."""
        ended = await until(lambda: not self.runs, within)
        if not ended:
            os.kill(self.pid, signal.SIGKILL)
        assert ended, "it outlived its request"


@pytest.mark.parametrize("how", HIDDEN)
async def test_with_the_request(
    how: str, client: httpx.AsyncClient, upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """What still runs after an answer ends with it, and the next request is answered as usual."""
    stray = Stray(tmp_path, how)
    upstream.script(Reply((ToolUse("Bash", {"command": stray.command}),)), Reply((Text("Started."),)))

    response = await ask(client, f"start it {how}", model="worker")

    assert response.json()["choices"][0]["message"]["content"] == "Started.", response.text
    assert stray.file.exists()
    await stray.ends()
    upstream.script(Reply((Text("Fine."),)))
    assert (await ask(client, "and now", model="worker")).status_code == 200


@pytest.mark.parametrize("how", HIDDEN)
async def test_when_the_client_leaves(
    how: str, client: httpx.AsyncClient, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """If a client disconnects while a command runs, the command ends, and what it started."""
    stray = Stray(tmp_path, how)
    upstream.script(Reply((ToolUse("Bash", {"command": f"{stray.command}; sleep 600"}),)))
    asking = asyncio.get_running_loop().create_task(ask(client, f"start it {how}", model="worker"))
    await stray.begins()

    asking.cancel()

    await stray.ends()


async def test_a_bystander(
    client: httpx.AsyncClient, upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """Only what the agent started is ended, not the user's other processes, nor those of another agent."""
    one, two = [Stray(tmp_path / name, "in its own session") for name in made(tmp_path, "one", "two")]
    mine = await asyncio.create_subprocess_exec(
        "sleep", "60", env=dict(proxy.environment), start_new_session=True
    )
    upstream.answer_with(lambda body: said(body, {"one": one, "two": two}))
    loop = asyncio.get_running_loop()
    waiting = loop.create_task(ask(client, "two", model="worker"))
    await two.begins()

    assert (await ask(client, "one", model="worker")).status_code == 200
    await one.ends()

    assert two.runs
    assert mine.returncode is None
    waiting.cancel()
    await two.ends()
    assert mine.returncode is None
    mine.kill()
    await mine.wait()


def made(folder: Path, *names: str) -> list[str]:
    """Make folders, and return them by name."""
    for name in names:
        (folder / name).mkdir()
    return list(names)


def said(body: dict[str, Any], strays: dict[str, Stray]) -> Reply:
    """Start the program that is asked for; the second one runs for a long time."""
    text = str(body["messages"])
    name = "one" if "'one'" in text else "two"
    if "tool_result" in text:
        return Reply((Text("Started."),))
    more = "; sleep 600" if name == "two" else ""
    return Reply((ToolUse("Bash", {"command": strays[name].command + more}),))


@pytest.mark.parametrize("victim", ["CLI", "keeper", "proxy", "proxy that has paused it"])
async def test_when_something_is_killed(
    victim: str, start_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Whichever process is killed with SIGKILL, nothing that the agent started remains."""
    proxy = await start_proxy(more=PROXY_TOML, warm=0, warm_models=[], retries=0)
    stray = Stray(tmp_path, "in its own session")
    upstream.script(Reply((ToolUse("Bash", {"command": f"{stray.command}; sleep 600"}),)))
    async with proxy.client() as client:
        asking = asyncio.get_running_loop().create_task(ask(client, "start it", model="worker"))
        await stray.begins()
        (keeper,) = [pid for pid in proxy.descendants() if b"keeper.py" in command_line(pid)]
        (cli,) = [pid for pid in children(keeper) if b"stream-json" in command_line(pid)]
        match victim:
            case "CLI":
                os.kill(cli, signal.SIGKILL)
            case "keeper":
                os.kill(keeper, signal.SIGKILL)
            case "proxy":
                await proxy.stop(signal.SIGKILL)
            case _:
                os.killpg(cli, signal.SIGSTOP)
                await proxy.stop(signal.SIGKILL)
        await stray.ends()
        await asyncio.wait({asking}, timeout=20)
    assert await until(lambda: not {keeper, cli} & set(proxy.descendants()), 5)
    if proxy.process.returncode is not None:
        assert await until(lambda: not proxy.descendants(), 5)


def command_line(pid: int) -> bytes:
    """Return the arguments that a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def children(pid: int) -> list[int]:
    """Return a process's children."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
