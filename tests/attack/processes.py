"""The real CLI and the proxy itself: killed, stopped, replaced, without their folders, told twice to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx

from tests.attack import watching
from tests.attack.connections import chat_body
from tests.attack.registry import attack, attacks
from tests.attack.stage import CHAT, Stage, status_of
from tests.end_to_end.running import until


SLOW = "[[pace 0.05 600]]"
AGAIN = 25.0
"""Seconds after which a chat through the CLI is answered again, whatever happened to the one before."""


async def check_answers(stage: Stage, told: str) -> None:
    """Check that the CLI answers a new question rightly, if need be after some more tries."""
    deadline = asyncio.get_running_loop().time() + AGAIN
    word = stage.canary
    reply = None
    while asyncio.get_running_loop().time() < deadline:
        reply = await stage.ask(f"say {word}", "sonnet", within=AGAIN)
        if status_of(reply) == 200:
            break
        await asyncio.sleep(0.5)
    text = "" if reply is None else reply.text
    stage.check(
        status_of(reply) == 200 and word in text,
        f"{told}: it does not answer: {status_of(reply)} {text[:150]}",
    )


@asynccontextmanager
async def asking(
    stage: Stage, text: str, *, stream: bool = True
) -> AsyncIterator[asyncio.Task[tuple[int, str]]]:
    """Ask the CLI; the task returns the status and the text of the answer, 0 if there was none."""

    async def ask() -> tuple[int, str]:
        try:
            async with asyncio.timeout(40), stage.client(within=40) as http:
                reply = await http.post(
                    CHAT,
                    content=chat_body(text, model="sonnet", stream=stream),
                    headers={"content-type": "application/json"},
                )
                return reply.status_code, reply.text
        except (httpx.HTTPError, TimeoutError):
            return 0, ""

    task = asyncio.get_running_loop().create_task(ask())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_busy(stage: Stage) -> None:
    """Wait until the CLI is working on something."""
    async with asyncio.timeout(20):
        while not (await stage.proxy.health())["processes"]["busy"]:  # noqa: ASYNC110 - only /health tells
            await asyncio.sleep(0.05)


def hit(stage: Stage, number: int) -> int:
    """Send a signal to all processes that the proxy has started; return how many they are."""
    pids = stage.proxy.descendants()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return len(pids)


@attack("the CLI is killed", cli=True, limit=150)
async def _(stage: Stage) -> None:
    """An answer whose process is killed is still whole, or ends in an error; the next answer is right."""
    for stream in (True, False):
        async with asking(stage, "[[pace 0.05 200]]", stream=stream) as answer:
            await until_busy(stage)
            await asyncio.sleep(1.5)
            stage.check(hit(stage, signal.SIGKILL), "there was nothing to kill")
            status, text = await asyncio.shield(answer)
        # a stream's status may have been sent already; what no client has received may be asked again
        right = status == 502 or (status == 200 and ('"error"' in text or "w199" in text))
        stage.check(right, f"stream {stream}: it ended with {status}: {text[-100:]}")
        await check_answers(stage, "after a kill")
    hit(stage, signal.SIGKILL)
    await check_answers(stage, "after a kill at rest")
    for _ in range(stage.count(20, 3)):
        hit(stage, signal.SIGKILL)
        await asyncio.sleep(0.3)
    await check_answers(stage, "after many kills")


@attack("the CLI is stopped", cli=True, limit=120)
async def _(stage: Stage) -> None:
    """An answer whose process is stopped from outside ends in time, and the process does not stay."""
    async with asking(stage, SLOW) as answer:
        await until_busy(stage)
        await asyncio.sleep(0.7)
        pids = stage.proxy.descendants()
        hit(stage, signal.SIGSTOP)
        async with asyncio.timeout(30):
            status, text = await asyncio.shield(answer)
    stage.check(
        status in (502, 504) or (status == 200 and '"error"' in text),
        f"it ended with {status}: {text[-100:]}",
    )
    await check_answers(stage, "after a stop")
    stage.check(pids, "there was nothing to stop")


@attack("the CLI at rest is stopped and continued", cli=True)
async def _(stage: Stage) -> None:
    """Stopping and continuing idle processes from outside changes no answer."""
    await check_answers(stage, "before")
    for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP, signal.SIGTERM):
        hit(stage, number)
        await check_answers(stage, f"after {signal.Signals(number).name}")


BINARIES = {
    "garbage": b"\x7fELF nonsense",
    "a program that ends": b"#!/bin/sh\nexit 1\n",
    "a program that says garbage": b"#!/bin/sh\nwhile :; do echo garbage; done\n",
    "a line without an end": b"#!/bin/sh\ntr '\\0' x </dev/zero\n",
    "a program that is silent": b"#!/bin/sh\nexec sleep 600\n",
    "a program that does not go": b"#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n",
    "a slow one": b"SLOW",
    "nothing": b"",
}


@attacks(
    *((f"the CLI becomes {name}", data) for name, data in BINARIES.items()),
    cli=True,
    alone=True,
    limit=150,
    memory=150,
)
async def _(stage: Stage, data: bytes) -> None:
    """The error is clear and comes in time, and when the CLI is back, it answers again."""
    await check_answers(stage, "before")
    wrapper = stage.proxy.work / "claude"
    good = wrapper.read_bytes()
    wrapper.unlink()
    if data:
        wrapper.write_bytes(good.replace(b"exec", b"sleep 3\nexec") if data == b"SLOW" else data)
        wrapper.chmod(0o700)
    hit(stage, signal.SIGKILL)
    for stream in (False, True):
        async with asking(stage, "hi", stream=stream) as answer:
            async with asyncio.timeout(40):
                status, text = await asyncio.shield(answer)
        right = status in ((200,) if data == b"SLOW" else (502, 503, 504)) or '"error"' in text
        stage.check(right, f"it ended with {status}: {text[-100:]}")
    wrapper.unlink(missing_ok=True)
    wrapper.write_bytes(good)
    wrapper.chmod(0o700)
    await check_answers(stage, "when it is back")


@attack("temporary folders vanish", cli=True, alone=True, limit=90)
async def _(stage: Stage) -> None:
    """A proxy whose temporary folder is removed answers again, at the latest when the folder is back."""
    await check_answers(stage, "before")
    for path in stage.proxy.temporary.iterdir():
        shutil.rmtree(path, ignore_errors=True)
    await check_answers(stage, "without what was in it")
    hit(stage, signal.SIGKILL)
    await check_answers(stage, "with new processes")
    shutil.rmtree(stage.proxy.temporary)
    hit(stage, signal.SIGKILL)
    reply = await stage.ask("hi", "sonnet", within=30)
    stage.check(status_of(reply) in (200, 502, 503), f"without the folder it answered {status_of(reply)}")
    stage.proxy.temporary.mkdir()
    await check_answers(stage, "with an empty one")


@attack("the proxy is told to stop twice", cli=True, alone=True)
async def _(stage: Stage) -> None:
    """The second signal ends it at once, with its answers unfinished, and nothing is left."""
    async with asking(stage, SLOW):
        await until_busy(stage)
        stage.ends = True
        stage.proxy.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        began = asyncio.get_running_loop().time()
        status = await stage.proxy.stop(signal.SIGTERM)
        stage.check(status == 128 + signal.SIGTERM, f"it ended with {status}")
        stage.check(asyncio.get_running_loop().time() - began < 6, "it took long")
    await check_gone(stage)


async def check_gone(stage: Stage) -> None:
    """Check that no process of the proxy is left, running or stopped."""
    gone = await until(lambda: not _left(stage), 5)
    stage.check(
        gone,
        f"these outlived the proxy: {[watching.state_of(pid) for pid in _left(stage)]}",
    )


def _left(stage: Stage) -> list[int]:
    return [pid for pid in stage.proxy.descendants() if watching.state_of(pid) not in {"", "Z"}]


# --- kill -9, in every state of a chat


@asynccontextmanager
async def _starting(stage: Stage) -> AsyncIterator[None]:
    async with asking(stage, "hi"):
        await until(stage.proxy.descendants, 10)
        yield


@asynccontextmanager
async def _waiting(stage: Stage) -> AsyncIterator[None]:
    async with asking(stage, "[[sleep 20]]"):
        await until_busy(stage)
        await asyncio.sleep(1.5)
        yield


@asynccontextmanager
async def _streaming(stage: Stage) -> AsyncIterator[None]:
    async with asking(stage, SLOW):
        await until_busy(stage)
        await asyncio.sleep(1.5)
        yield


@asynccontextmanager
async def _many(stage: Stage) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(asking(stage, SLOW))
        await until_busy(stage)
        await asyncio.sleep(2)
        yield


@asynccontextmanager
async def _parked(stage: Stage) -> AsyncIterator[None]:
    await check_answers(stage, "before")
    await asyncio.sleep(1)
    yield


@asynccontextmanager
async def _calling(stage: Stage) -> AsyncIterator[None]:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    reply = await stage.ask("[[tool look {}]]", "sonnet", tools=[tool])
    stage.check("tool_calls" in ("" if reply is None else reply.text), f"no call came: {status_of(reply)}")
    yield


@asynccontextmanager
async def _asleep(stage: Stage) -> AsyncIterator[None]:
    await check_answers(stage, "before")
    stopped = lambda: any(watching.state_of(pid) == "T" for pid in stage.proxy.descendants())  # noqa: E731
    stage.check(await until(stopped, 20), "nothing was stopped at rest")
    yield


@asynccontextmanager
async def _leaving(stage: Stage) -> AsyncIterator[None]:
    async with asking(stage, SLOW) as answer:
        await until_busy(stage)
        await asyncio.sleep(1)
        answer.cancel()
        await asyncio.sleep(0.02)
        yield


@asynccontextmanager
async def _draining(stage: Stage) -> AsyncIterator[None]:
    async with asking(stage, SLOW):
        await until_busy(stage)
        stage.proxy.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        yield


@asynccontextmanager
async def _outside(stage: Stage) -> AsyncIterator[None]:
    async with asking(stage, SLOW):
        await until_busy(stage)
        await asyncio.sleep(0.5)
        hit(stage, signal.SIGSTOP)
        yield


State = Callable[[Stage], AbstractAsyncContextManager[None]]
STATES: dict[str, State] = {
    "while the CLI starts": _starting,
    "before the first word": _waiting,
    "in the answer": _streaming,
    "in many answers": _many,
    "after the answer": _parked,
    "while a call is open": _calling,
    "while the CLI is at rest": _asleep,
    "when the client has just left": _leaving,
    "while it drains": _draining,
    "while the CLI is stopped from outside": _outside,
}


@attacks(*((f"kill -9 {name}", state) for name, state in STATES.items()), cli=True, alone=True)
async def _(stage: Stage, state: State) -> None:
    """Five seconds after a proxy was killed, none of its processes is left, running or stopped."""
    async with state(stage):
        stage.ends = True
        stage.tried += 1
        await stage.proxy.stop(signal.SIGKILL)
        await check_gone(stage)
