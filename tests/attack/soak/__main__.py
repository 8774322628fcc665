"""Sends a proxy all kinds of requests for a long time, while things go wrong, and checks every answer.

    python -m tests.attack.soak --minutes 30 --seed 7

One proxy uses both versions of the real CLI and two APIs over HTTP, with scripted providers that repeat the
words that reached them. Every request contains a unique word, so an answer shows whether it is the right one.
A third of the clients disconnect. Processes are killed and stopped, providers fail, plugins break, and the
configuration is reloaded. In the end no conversations may be mixed, nothing may be lost, and the proxy must
be as large as after its first minutes; a kill -9 in the middle of it must leave nothing. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import table
from claude_max_proxy.testing import ScriptedUpstream
from tests import installed_cli
from tests.attack import watching
from tests.attack.soak.counting import BAD, KINDS, PLUGIN, Counts, Sizes
from tests.attack.soak.faults import FAILING, Faults, RecitingOpenAI
from tests.attack.soak.talking import LONGEST, Talker
from tests.end_to_end.running import RunningProxy, until


KEYS = [f"CANARY-key-{number}-91c0de" for number in range(3)]
MODELS = ["old", "new", "openai", "anthropic", "either"]
_TOML = """
[server]
api_keys = {{ {keys} }}
keep_alive = 2.0

[models]
old = "claude/sonnet"
new = "newest/sonnet"
openai = "http/any"
anthropic = "messages/claude-any"
either = {{ to = "openai", fallback = ["anthropic"] }}

[backends.claude]
type = "claude-cli"
command = {old}
max_processes = 4
{limits}

[backends.newest]
type = "claude-cli"
command = {new}
max_processes = 4
{limits}

[backends.http]
type = "openai"
base_url = "{openai}"
first_byte_timeout = 8.0
idle_timeout = 8.0

[backends.messages]
type = "anthropic"
base_url = "{messages}"
api_key = "sk-ant-dummy"
first_byte_timeout = 8.0
idle_timeout = 8.0

[plugins.failing]
timeout = 1.0
"""
_LIMITS = "first_event_timeout = 8.0\nstall_timeout = 8.0\nqueue_timeout = 30.0\nidle_timeout = 60.0"
_CLIENTS = 12
_MEANT = ("failing", "telling", "a file changed while it was read")
"""What the log may say of the faults that are made here."""


class Soak:
    """One soak: everything that it needs, and its results."""

    def __init__(self, seconds: float, seed: int, rate: float, every: float) -> None:
        """Prepare a soak of this many seconds, with faults at this rate, and a report ``every`` so often."""
        self._seconds = seconds
        self._chance = random.Random(seed)
        self._rate = rate
        self._every = every
        self.counts = Counts()
        self.problems: list[str] = []

    async def run(self) -> None:
        """Run it."""
        async with contextlib.AsyncExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
            openai = await stack.enter_async_context(RecitingOpenAI(recording=False))
            messages = await stack.enter_async_context(ScriptedUpstream(recording=False))
            proxy = RunningProxy(home, messages.environment())
            self.sizes, self.faults = Sizes(proxy), Faults(proxy, self._chance, self._rate)
            for upstream in (openai, messages):
                upstream.answer_with(self.faults.answer)
            await _start(proxy, openai.base_url, messages.url)
            try:
                await self._traffic(proxy)
                self.problems += await _rest(proxy)
                await self._kill(proxy)
                self._judge(proxy)
            finally:
                if proxy.process.returncode is None:
                    await proxy.stop(signal.SIGKILL)

    async def _traffic(self, proxy: RunningProxy) -> None:
        """Let the clients talk, and make things go wrong."""
        end = time.monotonic() + self._seconds
        loop = asyncio.get_running_loop()
        asides = [loop.create_task(self.faults.keep_going()), loop.create_task(self._watch(end))]
        await self._talk(proxy, end)
        for task in asides:
            task.cancel()
        await asyncio.wait(asides)
        for task in asides:
            if not task.cancelled() and task.exception():
                self.problems.append(f"the soak itself failed: {task.exception()!r}")

    async def _talk(self, proxy: RunningProxy, end: float) -> None:
        async with proxy.client() as http:
            http.timeout = LONGEST
            talkers = [
                Talker(http, self.counts, random.Random(self._chance.random()), KEYS, MODELS)
                for _ in range(_CLIENTS)
            ]
            async with asyncio.timeout(self._seconds + 3 * LONGEST):
                await asyncio.gather(*(talker.keep_talking(end) for talker in talkers))

    async def _watch(self, end: float) -> None:
        told = time.monotonic()
        while True:
            await asyncio.sleep(2)
            self.sizes.look()
            if time.monotonic() - told > self._every:
                told = time.monotonic()
                kinds = ", ".join(
                    f"{self.counts.by_kind[kind]} {kind}" for kind in KINDS if self.counts.by_kind[kind]
                )
                say(f"{max(0, end - told):5.0f} s to go: {kinds}; {self.sizes.now()}")

    async def _kill(self, proxy: RunningProxy) -> None:
        """Kill the proxy in the middle of traffic, and check what is left of it."""
        counts, self.counts = self.counts, Counts()  # the answers of a killed proxy are not judged
        talking = asyncio.get_running_loop().create_task(self._talk(proxy, time.monotonic() + 3))
        await asyncio.sleep(2)
        await proxy.stop(signal.SIGKILL)
        talking.cancel()
        await asyncio.wait([talking])
        self.counts = counts

        def left() -> list[str]:
            return [
                state for pid in proxy.descendants() if (state := watching.state_of(pid)) not in {"", "Z"}
            ]

        if not await until(lambda: not left(), 5):
            self.problems.append(f"after a kill -9 these were left: {left()}")
            for pid in proxy.descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _judge(self, proxy: RunningProxy) -> None:
        self.problems += self.counts.problems
        if self.counts.open:
            self.problems.append(f"{self.counts.open} requests have no end")
        for name, (first, last, fine) in self.sizes.growth().items():
            if not fine:
                self.problems.append(f"{name} grew from {first:.0f} to {last:.0f}")
        log = "\n".join(proxy.log)
        for word in ("CANARY-", "[recite]"):
            if word in log:
                self.problems.append(f"the log holds {word}")
        for number, line in enumerate(proxy.log):
            if " ERROR " in line and not any(one in line for one in _MEANT):
                told = itertools.takewhile(lambda one: one.startswith(" "), proxy.log[number + 1 :])
                self.problems.append("\n".join([f"the log says: {line[:200]}", *itertools.islice(told, 40)]))


async def _start(proxy: RunningProxy, openai: str, messages: str) -> None:
    plugins = proxy.work / "plugins"
    plugins.mkdir(parents=True, mode=0o700)
    before = os.umask(0o077)  # there are keys in the configuration
    try:
        (plugins / "telling.py").write_text(PLUGIN)
        (plugins / "failing.py").write_text(FAILING.format(chance=0.02))
        old, new = (
            json.dumps(installed_cli.command(name)) for name in (installed_cli.PINNED, installed_cli.NEWEST)
        )
        keys = ", ".join(f'k{number} = "{key}"' for number, key in enumerate(KEYS))
        await proxy.start(
            _TOML.format(keys=keys, old=old, new=new, openai=openai, messages=messages, limits=_LIMITS)
        )
    finally:
        os.umask(before)


async def _rest(proxy: RunningProxy) -> list[str]:
    """Wait until no request is under way; return what is not at rest then."""
    deadline = time.monotonic() + 30
    while True:
        async with proxy.client() as http:
            health = (await http.get("/health")).json()["backends"]
        busy = {
            f"{name} {kind}": count
            for name, facts in health.items()
            for kind, count in facts.get("processes", {}).items()
            if kind in {"busy", "queued", "ending"} and count
        }
        strays = watching.stray(proxy.descendants(), proxy.pid)
        dead = watching.zombies(proxy.pid)
        if not (busy or strays or dead):
            return []
        if time.monotonic() > deadline:
            return [f"it is not at rest: {busy}, {len(strays)} processes are nobody's, {dead} ended unseen"]
        await asyncio.sleep(0.5)


def say(text: str) -> None:
    """Print something at once."""
    print(text, flush=True)  # noqa: T201


def told(soak: Soak) -> str:
    """Return the results as text."""
    counts = soak.counts
    ways = sorted({way for way, _ in counts.by_way})
    rows = [(way, *(f"{counts.by_way[way, kind]:,}" for kind in KINDS), "") for way in ways]
    total = ("all", *(f"{counts.by_kind[kind]:,}" for kind in KINDS), "")
    sizes: list[tuple[str, ...]] = [
        (name, f"{first:.0f}", f"{last:.0f}", "ok" if fine else "GREW")
        for name, (first, last, fine) in soak.sizes.growth().items()
    ]
    errors: list[tuple[str, ...]] = [(told, f"{count:,}", "") for told, count in counts.errors.most_common()]
    faults: list[tuple[str, ...]] = [
        (told, f"{count:,}", "") for told, count in sorted(soak.faults.done.items())
    ]
    return "\n\n".join(
        [
            table(("requests", *KINDS, ""), [*rows, total]),
            table(("errors", "times", ""), errors),
            table(("faults", "times", ""), faults),
            table(("the proxy", "after a third", "in the end", ""), sizes),
        ]
    )


def main() -> int:
    """Run a soak, and return 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.attack.soak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the faults"
    )
    parser.add_argument("--faults", type=float, default=1.0, help="how many, beside the usual; 0 makes none")
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("processes are watched by Linux's /proc: on other systems this does not run")
    say(f"{given.minutes:g} minutes, --seed {given.seed}, {_CLIENTS} clients")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the providers break off on purpose
    soak = Soak(given.minutes * 60, given.seed, given.faults, 30.0)
    asyncio.run(soak.run())
    bad = sum(soak.counts.by_kind[kind] for kind in BAD)
    say(f"\n{told(soak)}\n")
    say(f"{soak.counts.asked:,} asked, {bad} of them wrong; the slowest took {soak.counts.slowest:.1f} s")
    for problem in list(dict.fromkeys(soak.problems))[:40]:
        say(f"    {problem}")
    return int(bool(soak.problems))


if __name__ == "__main__":
    raise SystemExit(main())
