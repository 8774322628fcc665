"""``claude-max-proxy demo``: shows two chats through the real CLI, with a scripted provider.

Everything runs in a private home directory, which is removed afterwards: the user's files are not read, and
nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Self

import click
import httpx
import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.backends.claude_cli.advice import how_to_install
from claude_max_proxy.backends.claude_cli.command import find_command
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.errors import BackendUnavailable
from claude_max_proxy.formats.sse import Decoder
from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, conversation, system_text


MODEL = "claude-sonnet-4"
SYSTEM = "Answer in plain words."
SECOND_PROMPT = "Do you still know what I said first?"
CONFIG = """
[backends.claude]
warm_models = ["sonnet"]

[plugins]
paths = []
"""
_INHERITED = ("LANG", "LC_ALL", "PATH", "PATHEXT", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV")
_PACE = 0.02
_READY_TIMEOUT = 30.0
_ANSWER_TIMEOUT = 30.0
# A process counts as warm as soon as it is started. The CLI needs this many seconds to be ready then.
_BOOT = 1.5
_END_TIMEOUT = 5.0
_WIDTH = 18


class Turn(msgspec.Struct):
    """The times of one question: seconds to the first token, and to the last one."""

    prompt: str
    answer: str = ""
    first_token: float = 0.0
    total: float = 0.0


def run(prompt: str) -> None:
    """Run the demo. Raises :class:`ConfigError` if there is no CLI to run it with."""
    try:
        program = find_command("claude")[0]
    except BackendUnavailable as error:
        raise ConfigError(
            "the demo needs the real Claude Code CLI, and there is none on PATH or in the claude-agent-sdk "
            f"package; {how_to_install()}, and run the demo again; nobody needs to be logged in"
        ) from error
    try:
        asyncio.run(_demonstrate(program, prompt))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    except TimeoutError as error:
        raise click.ClickException("the demo took too long; is this machine very busy?") from error


async def _demonstrate(program: str, prompt: str) -> None:
    _cancel_on_signals()
    click.echo(
        "One chat through the real Claude Code CLI. No account is needed: a script plays the provider.\n"
    )
    with tempfile.TemporaryDirectory(prefix="claude-max-demo-", ignore_cleanup_errors=True) as home:
        async with ScriptedUpstream() as upstream:
            upstream.answer_with(scripted_answer)
            _progress("provider", f"scripted, at {upstream.url}")
            async with Proxy(Path(home), program, upstream.environment()) as proxy:
                facts = await proxy.ready()
                turns = await _chat(proxy.url, [prompt, SECOND_PROMPT])
                await upstream.idle()
                await proxy.logged(len(turns))
                _explain(facts, turns, upstream, live=" live " in proxy.answers[-1])
    click.echo("\nEverything has been stopped and removed. To use your own login: claude-max-proxy serve")


def scripted_answer(body: dict[str, Any]) -> Reply:
    """Return the scripted reply to the newest turn, which is streamed word by word."""
    said = [blocks[-1].get("text", "") for role, blocks in conversation(body) if role == "user"]
    if len(said) < 2:
        text = (
            "I am not Claude but a script in its place. Your words went to the proxy as an OpenAI request, "
            "from there into the real Claude Code CLI, and from the CLI to me, as you wrote them: "
            f"“{said[-1] if said else ''}” My answer comes back the same way, word by word."
        )
    else:
        text = (
            f"You said: “{said[0]}” The process that answered first is still there and remembers it, "
            "so the proxy had to send it only your newest sentence."
        )
    return Reply((Text(text),), pace=_PACE)


class Proxy:
    """The proxy as a separate process in a private home directory; ``log`` is what it has printed so far."""

    def __init__(self, home: Path, program: str, upstream: Mapping[str, str]) -> None:
        """Prepare to run it with ``program`` as the CLI and the variables ``upstream``."""
        self.url = ""
        self.log: list[str] = []
        self._home = home
        self._environment = {**_environment(home, program), **upstream}
        self._tasks = Tasks()
        self._heard = asyncio.Event()
        self._silent = False
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start the proxy."""
        (self._home / "proxy.toml").write_text(CONFIG, "utf-8")
        (self._home / "tmp").mkdir()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "claude_max_proxy", "serve", "--config", "proxy.toml", "--port", "0"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            cwd=self._home,
        )
        self._tasks.start(self._listen(self._process), "demo-proxy-log")
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the proxy, by force if need be."""
        process = self._process
        assert process is not None
        for end in (process.terminate, process.kill):
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_TIMEOUT):
                    await process.wait()
                break
        await self._tasks.close()

    async def ready(self) -> dict[str, Any]:
        """Wait for a warm process; return what ``/health`` says about the backend."""
        await self._until(lambda: self.url)
        _progress("proxy", f"{self.url}/v1")
        facts: dict[str, Any] = {}
        async for health in self._healths():
            facts = health["backends"]["claude"]
            if facts.get("problem"):
                raise click.ClickException(f"{facts['problem']}")
            if facts["status"] == "ok" and facts["processes"]["warm"]:
                break
        _progress("CLI", f"{facts['version']}, {facts['command']}")
        await asyncio.sleep(_BOOT)
        _progress("warm process", "started, and not yet told what it will be asked\n")
        return facts

    async def logged(self, requests: int) -> None:
        """Wait until the log has a line for each request."""
        await self._until(lambda: len(self.answers) >= requests)

    @property
    def answers(self) -> list[str]:
        """The lines of the access log."""
        return [line for line in self.log if "→ claude/" in line]

    async def _healths(self) -> AsyncIterator[dict[str, Any]]:
        async with asyncio.timeout(_READY_TIMEOUT), httpx.AsyncClient(trust_env=False) as client:
            while True:
                yield (await client.get(f"{self.url}/health")).json()
                await asyncio.sleep(0.1)

    async def _until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(_READY_TIMEOUT):
            while not condition():
                if self._silent:
                    raise click.ClickException("the proxy ended by itself:\n" + "\n".join(self.log))
                self._heard.clear()
                await self._heard.wait()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.log.append(line.decode(errors="replace").rstrip())
            name, _, value = self.log[-1].strip().partition(" ")
            if name == "address":
                self.url = value.strip().removesuffix("/v1")
            self._heard.set()
        self._silent = True
        self._heard.set()


def _environment(home: Path, program: str) -> dict[str, str]:
    """Return an environment in which nothing leads to the user's files and settings."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    path = os.pathsep.join([str(Path(program).parent), inherited.get("PATH", os.defpath)])
    home_names = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME")
    temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(home / "tmp"))
    return {**inherited, **dict.fromkeys(home_names, str(home)), **temporary, "PATH": path}


async def _chat(url: str, prompts: list[str]) -> list[Turn]:
    """Hold a conversation and print it as it proceeds; return the times of its turns."""
    turns = []
    messages = [{"role": "system", "content": SYSTEM}]
    for prompt in prompts:
        turn = Turn(prompt)
        messages.append({"role": "user", "content": prompt})
        click.echo(f"You     {prompt}\nClaude  ", nl=False)
        began = time.monotonic()
        body = {"model": MODEL, "messages": messages, "stream": True}
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            async for text in _texts(url, body):
                turn.first_token = turn.first_token or time.monotonic() - began
                turn.answer += text
                click.echo(text, nl=False)
        turn.total = time.monotonic() - began
        click.echo("\n")
        messages.append({"role": "assistant", "content": turn.answer})
        turns.append(turn)
    return turns


async def _texts(url: str, body: dict[str, Any]) -> AsyncIterator[str]:
    async for data in _stream(f"{url}/v1/chat/completions", body):
        if data == "[DONE]":
            return
        chunk = msgspec.json.decode(data)
        if "error" in chunk:
            raise click.ClickException(chunk["error"]["message"])
        for choice in chunk["choices"]:
            if text := choice["delta"].get("content"):
                yield text


async def _stream(url: str, body: dict[str, Any]) -> AsyncIterator[str]:
    """Post ``body`` and yield the data of each event of the answer."""
    decoder = Decoder()
    async with (
        httpx.AsyncClient(trust_env=False, timeout=_ANSWER_TIMEOUT) as client,
        client.stream("POST", url, json=body) as response,
    ):
        if response.status_code != 200:
            words = (await response.aread()).decode(errors="replace")
            raise click.ClickException(f"the proxy answered {response.status_code}: {words}")
        async for piece in response.aiter_bytes():
            for event in decoder.feed(piece):
                yield event.data


def _explain(facts: dict[str, Any], turns: list[Turn], upstream: ScriptedUpstream, *, live: bool) -> None:
    """Print what has happened between the client and the provider."""
    first, second = turns
    last = upstream.requests[-1].body
    sizes = " and ".join(f"{request.size:,}" for request in upstream.requests)
    seen = [("system", system_text(last))]
    seen += [
        (role, " ".join(block.get("text", "") for block in blocks)) for role, blocks in conversation(last)
    ]
    how = "continued in the same process" if live else "replayed into another process"
    click.echo("What happened")
    _progress("CLI", f"{facts['version']}, {upstream.count} requests to the provider and nothing else")
    _progress("first token", f"{first.first_token * 1000:.0f} ms, from a process that was warm")
    _progress("second turn", f"{second.first_token * 1000:.0f} ms, {how}")
    _progress("bytes upstream", f"{sizes}; your words and answers are {_own(seen)} of the last")
    for number, (role, text) in enumerate(seen):
        _progress("" if number else "provider saw", f"{role:<10} {_short(text)}")


def _own(seen: list[tuple[str, str]]) -> str:
    return f"{sum(len(text.encode()) for _, text in seen):,}"


def _short(text: str, width: int = 66) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _progress(name: str, text: str) -> None:
    click.echo(f"  {name:<{_WIDTH}}{text}")


def _cancel_on_signals() -> None:
    """Cancel the current task on signals that would end the process without cleaning up.

    Ctrl-C already does so by itself.
    """
    task = asyncio.current_task()
    assert task is not None
    for name in ("SIGTERM", "SIGHUP"):
        with contextlib.suppress(NotImplementedError, AttributeError):
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), task.cancel)
