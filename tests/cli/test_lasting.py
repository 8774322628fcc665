"""What lasts as long as the process is not looked through again and again for garbage."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from claude_max_proxy.cli.lasting import Lasting
from tests.cli.serving_process import serving, write


# It tells how many objects are frozen, and how many of its own configurations still exist.
TELLING = '''
import gc
import sys
import weakref

from claude_max_proxy import Response, Route, Settings as BaseSettings, hookimpl


class Settings(BaseSettings, frozen=True):
    number: int = 0


ALIVE = sys.__dict__.setdefault("_test_alive", [])


class Knot:
    """Something that only the garbage collection can remove."""

    def __init__(self):
        self.itself = self


@hookimpl
def register_routes(register, settings):
    knot = Knot()
    ALIVE.append(weakref.ref(knot))

    async def tell(_):
        knot  # as long as the route exists
        alive = sum(one() is not None for one in ALIVE)
        return f"{gc.get_freeze_count()} {alive} {settings.number}".encode()

    register(Route("GET", "/frozen", tell, "How much is frozen."))
'''


class Noting:
    """A garbage collector that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def set_threshold(self, threshold0: int, /) -> None:
        """Note it."""
        self.told.append(f"after {threshold0}")

    def unfreeze(self) -> None:
        """Note it."""
        self.told.append("unfreeze")

    def collect(self) -> int:
        """Note it."""
        self.told.append("collect")
        return 0

    def freeze(self) -> None:
        """Note it."""
        self.told.append("freeze")


ONCE = ["unfreeze", "collect", "freeze", "after 10000"]


def test_when_it_is_worth_its_time() -> None:
    """It happens when nothing more is loaded, and again after a reload or after many modules have come."""
    modules = ["one"] * 700
    lasting = Lasting(collector := Noting(), modules)
    lasting.freeze(0)
    assert not collector.told
    modules += ["another"]
    lasting.freeze(0)  # something is still being loaded
    assert not collector.told
    lasting.freeze(0)
    assert collector.told == ONCE
    modules += ["few"] * 5
    for _ in range(5):
        lasting.freeze(0)
    assert collector.told == ONCE
    modules += ["many"] * 100
    for _ in range(5):
        lasting.freeze(0)
    assert collector.told == ONCE * 2
    for _ in range(5):
        lasting.freeze(1)
    assert collector.told == ONCE * 3


async def test_a_proxy(tmp_path: Path) -> None:
    """A proxy freezes what it has loaded, and what an old configuration has left is removed nevertheless."""
    async with serving(tmp_path, telling=TELLING) as proxy:
        url = await proxy.says(r"address\s+(\S+)/v1")
        await tells(url, number=0)
        for number in (1, 2):
            write(tmp_path, f"\n[plugins.telling]\nnumber = {number}\n")
            await tells(url, number=number)


async def tells(url: str, number: int) -> None:
    """Wait until the plugin has this number and tells that much is frozen, and only its own configuration."""
    async with httpx.AsyncClient(timeout=20) as http, asyncio.timeout(60):
        while True:
            frozen, alive, its_number = map(int, (await http.get(f"{url}/frozen")).text.split())
            if (frozen > 30_000, alive, its_number) == (True, 1, number):
                return
            await asyncio.sleep(0.1)
