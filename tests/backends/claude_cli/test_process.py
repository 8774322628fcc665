"""One process, with a fake CLI: how it is started, written to, stopped and ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.backends.claude_cli import process as process_module
from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.command import arguments
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.rehearsal import rehearsal
from claude_max_proxy.errors import (
    BackendUnavailable,
    UpstreamFailed,
)
from tests.backends.claude_cli.conftest import FAKE
from tests.end_to_end.running import until


Spawn = Callable[..., Awaitable[CliProcess]]
KIND = ProcessKind("sonnet")


@pytest.fixture
async def spawn(tmp_path: Path) -> AsyncIterator[Spawn]:
    """Return a function that starts a process; all of them are ended after the test."""
    started: list[CliProcess] = []

    async def start(*command: str, exits: list[CliProcess] | None = None, **fake: Any) -> CliProcess:
        words = list(command) or arguments(FAKE, KIND)
        environment = {"PATH": os.environ["PATH"], "FAKE_CLI": json.dumps(fake)}
        gone: list[CliProcess] = [] if exits is None else exits
        process = await CliProcess.spawn(words, environment, tmp_path, KIND, gone.append)
        started.append(process)
        return process

    yield start
    for process in started:
        await process.end()
        assert not process.alive


async def hear(process: CliProcess) -> list[protocol.Line]:
    """Wait for the next lines."""
    async with asyncio.timeout(10):
        return await process.inbox.get() or []


async def test_requests_and_answers(spawn: Spawn) -> None:
    """What is sent is read line by line, and what comes back is decoded."""
    process = await spawn()
    request_id, line = protocol.control_request("initialize")
    await process.send(line)
    (heard,) = await hear(process)
    assert heard.response is not None
    assert heard.response.request_id == request_id
    assert protocol.decode_initialized(heard.response.response).models[0].value == "opus"


async def test_an_orderly_end(spawn: Spawn) -> None:
    """An idle process ends by itself when its input is closed, and ``on_exit`` is called."""
    exits: list[CliProcess] = []
    process = await spawn(exits=exits)
    await process.end(idle=True)
    assert exits == [process]
    assert not process.killed
    assert process.last_words() == "exit status 0"


async def test_one_that_does_not_want_to_end(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores the end of its input and the signal is killed, within a bound."""
    monkeypatch.setattr(process_module, "_GRACE", 0.3)
    process = await spawn(stubborn=True)
    await process.send(protocol.control_request("initialize")[1])
    await hear(process)
    async with asyncio.timeout(5):
        await process.end(idle=True)
    assert process.killed
    assert process.last_words() == "exit status -9"


async def test_a_pause(spawn: Spawn) -> None:
    """A stopped process continues when it is written to, and it can also be ended while it is stopped."""
    process = await spawn()
    process.pause()
    assert process.paused
    await process.send(protocol.control_request("initialize")[1])
    assert not process.paused
    assert await hear(process)
    process.pause()
    process.kill()
    assert await process.exits_within(5)


async def test_one_that_has_ended(spawn: Spawn) -> None:
    """Sending to a process that has ended is an error with its last output; signals do no harm."""
    process = await spawn("/bin/sh", "-c", "echo nothing works >&2; exit 7")
    assert await process.exits_within(10)
    with pytest.raises(UpstreamFailed, match="exit status 7; it said: nothing works"):
        await process.send(b"x" * 1024 * 1024)
    process.kill()
    process.pause()
    assert not process.paused
    assert not process.is_at_work
    assert not process.is_watched


async def test_one_that_does_not_read(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a process does not read, that is an error once its pipe has been full for too long."""
    monkeypatch.setattr(process_module, "_SEND_TIMEOUT", 0.2)
    process = await spawn("/bin/sh", "-c", "exec sleep 600")
    with pytest.raises(UpstreamFailed, match="does not read its input"):
        await process.send(b"x" * 1024 * 1024)


async def test_a_line_without_an_end(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the bound ends the process: the rest of its output cannot be trusted."""
    monkeypatch.setattr(process_module, "LINE_LIMIT", 10_000)
    process = await spawn("/bin/sh", "-c", "exec tr '\\0' x </dev/zero")
    assert await process.exits_within(10)
    assert process.killed
    assert await process.inbox.get() is None


async def test_more_than_anybody_reads(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose output is not read is held back; it still ends at once, and its end is reported."""
    monkeypatch.setattr(process_module, "_CHUNK", 10)
    exits: list[CliProcess] = []
    process = await spawn("/bin/sh", "-c", 'while :; do echo "{}"; done', exits=exits)
    assert await until(process.inbox.full)
    async with asyncio.timeout(1.5):
        await process.end()
    assert exits == [process]
    heard = [process.inbox.get_nowait() for _ in range(process.inbox.qsize())]
    assert heard[-1] is None


@pytest.mark.parametrize(
    "events",
    [
        ['{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}'],
        ['{"type":"message_start"}', '{"type":"message_delta","delta":{"stop_reason":"end_turn"}}'],
    ],
)
async def test_an_answer_that_would_go_on(events: list[str], spawn: Spawn) -> None:
    """A process without a fence is killed when its own output says that it would ask again."""
    lines = "; ".join(f"""echo '{{"type":"stream_event","event":{event}}}'""" for event in events)
    process = await spawn("/bin/sh", "-c", f"{lines}; exec sleep 600")
    assert await process.exits_within(10)
    assert process.killed


@pytest.mark.parametrize("version", [(2, 1, 197), (2, 1, 332)])
async def test_a_rehearsal(version: tuple[int, ...], spawn: Spawn) -> None:
    """A process loads what its first answer needs, and says when it is done."""
    process = await spawn()
    await process.rehearse(rehearsal(version, {}))
    assert not process.rehearsed.is_set()
    async with asyncio.timeout(10):
        await process.rehearsed.wait()


async def test_a_rehearsal_that_nobody_answers(spawn: Spawn) -> None:
    """A process that ends while it rehearses leaves no request waiting."""
    process = await spawn("/bin/sh", "-c", "sleep 0.1")
    await process.rehearse(rehearsal((2, 1, 332), {}))
    async with asyncio.timeout(10):
        await process.rehearsed.wait()


async def test_a_program_that_cannot_run(spawn: Spawn) -> None:
    """If the system cannot start a program, the error names the program and the reason."""
    with pytest.raises(BackendUnavailable, match="'/nowhere/claude' could not be started: No such file"):
        await spawn("/nowhere/claude")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel gives no such promise")
async def test_what_a_process_may_open(spawn: Spawn, tmp_path: Path) -> None:
    """A process gets the same limit of descriptors as the proxy had before it raised its own."""
    process = await spawn("/bin/sh", "-c", f"ulimit -Sn > {tmp_path}/limit")
    assert await process.exits_within(10)
    assert (tmp_path / "limit").read_text().strip().isdigit()
