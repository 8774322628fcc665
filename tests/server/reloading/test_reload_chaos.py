"""Many requests while ``proxy.toml`` is rewritten, sometimes broken, and a plugin comes and goes.

``RELOAD_CHAOS_REQUESTS=10000`` makes it longer. The suite asks 2,000 times, and goes on until several
configurations have answered.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections import Counter
from pathlib import Path

import msgspec

from tests.server.exchange import Exchange, chat
from tests.server.live_proxy import LiveProxy


REQUESTS = int(os.environ.get("RELOAD_CHAOS_REQUESTS", "2000"))
CLIENTS = 16
CONFIGURATIONS = 4
EVERY = 0.2
# Each line contains the same number; an answer from two configurations would contain two numbers.
TOML = """
[models]
m = {{ to = "echo/{n}", system = "{n}" }}

[backends.echo]
type = "labelled"
label = "{n}"

[plugins.stamp]
word = "{n}"
"""
BACKEND = """
import asyncio

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    label: str = ""


class Labelled(proxy.Backend):
    def __init__(self, name, settings):
        self.label, self.running = settings.label, False

    async def start(self):
        self.running = True

    async def stop(self):
        self.running = False

    async def answer(self, request, model):
        yield proxy.Started(model)
        yield proxy.PartStarted(0, "text")
        for word in ("model=" + model, "system=" + request.system, "label=" + self.label):
            assert self.running
            yield proxy.PartDelta(0, word + " ")
            await asyncio.sleep(0.002)
        yield proxy.PartEnded(0)
        yield proxy.Finished("stop")

    def describe(self, model):
        return proxy.backend.ModelInfo(model)

    def health(self):
        return {"status": "ok"}


@proxy.hookimpl
def register_backends(register):
    register("labelled", Settings, Labelled)
"""
STAMP = """
import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    word: str = ""


@proxy.hookimpl
def rewrite_request(request, settings):
    request.system += " stamp=" + settings.word
"""
GUEST = """
import claude_max_proxy as proxy


@proxy.hookimpl
def rewrite_request(request):
    request.system += " guest=in"


@proxy.hookimpl
async def wrap_events(events):
    async for event in events:
        if isinstance(event, proxy.PartEnded):
            yield proxy.PartDelta(0, "guest=out ")
        yield event
"""
BROKEN = (
    "[models\n",
    TOML + "[server]\nprot = 1\n",
    TOML.replace("echo/", "ecko/"),
    TOML.replace("labelled", "lebelled"),
    TOML.replace("word", "wrod"),
)


async def rewrite(proxy: LiveProxy) -> None:
    """Save changed configurations repeatedly, every fourth one broken, and add and remove a plugin."""
    broken = itertools.cycle(BROKEN)
    guest = proxy.plugins / "guest.py"
    for n in itertools.count(1):
        proxy.write((TOML if n % 4 else next(broken)).format(n=n))
        if n % 3 == 0:
            proxy.plugin("guest", GUEST + "1 / 0\n" * (n % 2))
        elif n % 3 == 2:
            guest.unlink(missing_ok=True)
        await asyncio.sleep(EVERY)


async def ask(proxy: LiveProxy, *, stream: bool) -> str:
    """Ask, streamed or whole, and return the text of a complete answer."""
    exchange = Exchange(chat(model="m", stream=stream))
    await exchange.run(proxy.live)
    assert (exchange.status, exchange.complete) == (200, True), exchange.body
    if stream:
        assert exchange.chunks[-1]["choices"][0]["finish_reason"] == "stop"
        return exchange.text
    text: str = msgspec.json.decode(exchange.body)["choices"][0]["message"]["content"]
    return text


async def test_nothing_is_lost(tmp_path: Path) -> None:
    """Every request is answered completely, and by exactly one configuration."""
    proxy = LiveProxy(tmp_path, TOML.format(n=0), labelled=BACKEND, stamp=STAMP)
    configurations: Counter[str] = Counter()
    guests: Counter[tuple[bool, bool]] = Counter()
    left = itertools.count()

    async def client() -> None:
        while (number := next(left)) < REQUESTS or len(configurations) < CONFIGURATIONS:
            text = await ask(proxy, stream=number % 2 == 0)
            said = set(re.findall(r"(?:model|system|label|stamp)=(\d+)", text))
            assert len(said) == 1, text
            assert text.count("=") in {4, 6}, text
            configurations.update(said)
            guests["guest=in" in text, "guest=out" in text] += 1

    async with proxy.serving():
        rewriting = asyncio.get_running_loop().create_task(rewrite(proxy))
        try:
            await asyncio.gather(*(client() for _ in range(CLIENTS)))
        finally:
            rewriting.cancel()
    assert configurations.total() == guests.total() >= REQUESTS
    assert len(configurations) >= CONFIGURATIONS
    assert not [number for number in configurations if int(number) and int(number) % 4 == 0]
    assert set(guests) <= {(True, True), (False, False)}
