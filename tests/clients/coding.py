"""What every coding agent is asked to do, by its own tools, in a project with one file."""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from signal import SIGINT
from typing import Any

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse, conversation, fault
from tests.clients.client import Api, CheckFunction, Client
from tests.clients.expecting import holds, same, within
from tests.clients.stage import Output, Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import until
from tests.end_to_end.working import by_call


FILE = "greeting.txt"
BEFORE, AFTER = 'print("hello")\n', 'print("good morning, ü")\n'
LINE, NEW_LINE = BEFORE.strip(), AFTER.strip()
_GONE = 20.0
_WAITS = 3.0
"""For so many seconds an agent must not ask again; those that do not look at `Retry-After` do it sooner."""

Call = tuple[str, dict[str, Any]]
"""A tool's name, and the input that the model gives it."""


def project(stage: Stage) -> str:
    """Put a file into the client's working directory, and return its whole path."""
    path = stage.work / FILE
    path.write_text(BEFORE, "utf-8")
    return str(path)


def edited(stage: Stage) -> None:
    """Expect that the file was changed as the model asked."""
    same((stage.work / FILE).read_text("utf-8"), AFTER, "the file")


def calls(upstream: ScriptedUpstream) -> list[list[tuple[str, Any]]]:
    """Return the names and inputs of the calls in each of the model's turns in what was asked last.

    Expects that each turn with calls is followed by a user's turn that begins with exactly their results.
    """
    turns = by_call(seen(upstream))
    found = []
    for (role, blocks), after in zip(turns, [*turns[1:], ("", [])], strict=True):
        made = [block for block in blocks if block[0] == "call"]
        if not made:
            continue
        same(role, "assistant", "the role of a turn with calls")
        same(after[0], "user", "the role of a turn with results")
        results = [block for block in after[1] if block[0] == "result"]
        same([block[1] for block in results], [block[1] for block in made], "what the results are for")
        same(after[1][: len(results)], results, "the beginning of the turn after calls")
        found.append([(block[2], block[3]) for block in made])
    return found


def results(upstream: ScriptedUpstream) -> list[str]:
    """Return the text of each result in what was asked last."""
    blocks = [block for _, blocks in by_call(seen(upstream)) for block in blocks if block[0] == "result"]
    return ["\n".join(str(part[1]) for part in block[2]) for block in blocks]


async def stopped(stage: Stage, process: Process) -> None:
    """Stop a client in the middle of an answer, and expect that the request to the provider stops too.

    It is stopped as Ctrl-C in a terminal does it, which reaches all processes that it has started.
    """
    assert process.stdin is not None
    process.stdin.close()
    await stage.asked(1, within=60)
    os.killpg(process.pid, SIGINT)
    left = await until(lambda: stage.upstream.requests[0].disconnected, _GONE)
    await stage.end(process)
    holds(left, f"the provider was still being listened to after {_GONE:.0f} s")


async def hears(stage: Stage, process: Process, part: str, seconds: float = 60.0) -> bool:
    """Listen to what a client says on its standard error until a text is in it; tell whether it came."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while line := await process.stderr.readline():
                stage.said.append(line.decode(errors="replace").rstrip())
                if part in stage.said[-1]:
                    return True
    return False


def picture() -> bytes:
    """Return a PNG of 8 by 8 pixels."""
    rows = b"".join(b"\0" + bytes((0, y * 30, 90)) * 8 for y in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@dataclass(frozen=True)
class Agent:
    """A coding agent that runs without its terminal, and the checks that are the same for all of them.

    - `command`: what starts it, for the API of the check; a question comes after it.
    - `said`: its answer, from what it printed.
    - `look`, `change`: what the model calls to look at a file, in parallel, and to change it.
    - `resume`: the options that continue its last session.
    - `environment`: its environment variables.
    """

    client: Client
    command: Callable[[Stage], Sequence[str]]
    said: Callable[[Output], str]
    look: Callable[[str], list[Call]]
    change: Callable[[str], Call]
    resume: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def add(self, *names: str, api: Api = "chat", **requests: int | None) -> None:
        """Add the checks of these names; `requests` says where the agent makes more of them."""
        for name in (*names, *requests):
            count = requests.get(name, REQUESTS.get(name))
            self.client.check(api, requests=count)(self._named(name))

    def _named(self, name: str) -> CheckFunction:
        function = getattr(self, f"_{name}")

        async def check(stage: Stage) -> None:
            await function(stage)

        check.__name__, check.__doc__ = name, function.__doc__
        return check

    async def ask(self, stage: Stage, *arguments: str) -> Output:
        """Run it to its end."""
        command = (*self.command(stage), *arguments)
        return await stage.run(*command, within=120.0, variables=self.environment)

    async def _a_turn(self, stage: Stage) -> None:
        """A question is answered."""
        same(self.said(await self.ask(stage, "Hello [[say Good morning]]")), "Good morning", "the answer")

    async def _edit(self, stage: Stage) -> None:
        """It looks at a project with calls in parallel and changes a file, in the same process."""
        path = project(stage)
        look, change = self.look(path), self.change(path)
        stage.upstream.script(
            Reply((Text("Let me see."), *(ToolUse(*call) for call in look))),
            Reply((ToolUse(*change),)),
            Reply((Text("That is polite."),)),
        )
        within("That is polite.", self.said(await self.ask(stage, "Be polite.")), "the answer")
        edited(stage)
        same(calls(stage.upstream), [look, [change]], "the calls in what was asked")
        within("hello", results(stage.upstream)[0], "the first result")
        within(FILE, results(stage.upstream)[1], "the second result")
        same((await stage.live(3))[:3], [False, True, True], "which requests went on in place")

    async def _several_turns(self, stage: Stage) -> None:
        """The next question of a session goes to the process that answered before."""
        await self.ask(stage, "Say it [[say It is one.]]")
        answer = self.said(await self.ask(stage, *self.resume, "Again [[say It is two.]]"))
        same(answer, "It is two.", "the answer")
        within("It is one.", str(conversation(stage.upstream.requests[-1].body)), "what was asked")
        same(await stage.live(2), [False, True], "which requests went on in place")

    async def _plan_limit(self, stage: Stage) -> None:
        """It shows that a plan is used up, in the provider's words."""
        output = await self.ask(stage, "Hello [[limit]]")
        within("usage limit reached", output.printed + output.errors, "what the user sees")

    async def _waiting(self, stage: Stage) -> None:
        """While a plan is used up, it waits for the reset and does not ask again."""
        process = await stage.start(*self.command(stage), "Hello [[limit]]", **self.environment)
        assert process.stdin is not None
        process.stdin.close()
        told = await stage.statuses(within=_GONE) == [429]
        await asyncio.sleep(_WAITS)
        waits = process.returncode is None
        await stage.end(process)
        same((told, waits), (True, True), "whether it was told, and waits,")

    async def _short_fault(self, stage: Stage) -> None:
        """After a short fault of the provider the proxy tries again, and the agent does not notice it."""
        stage.upstream.script(fault(529), Reply((Text("Back again."),)))
        same(self.said(await self.ask(stage, "Hello there")), "Back again.", "the answer")
        same(await stage.statuses(), [200], "the statuses")

    async def _cancel(self, stage: Stage) -> None:
        """When it is stopped in the middle of an answer, the request to the provider stops too."""
        command = self.command(stage)
        await stopped(stage, await stage.start(*command, "Hello [[hang 3]]", **self.environment))


REQUESTS: dict[str, int | None] = {
    "a_turn": 1,
    "edit": 3,
    "several_turns": 2,
    "plan_limit": 1,
    "waiting": 1,
    "short_fault": None,
    "cancel": 1,
}
"""How many requests reach the provider in each."""
