"""The watch over the event loop: what blocks it is reported while it does, with the plugin's name."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
import types

import pytest

from claude_max_proxy.plugin.blame import Blame
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.stall_watch import StallWatch


def hold_up(until: threading.Event) -> None:
    """Block, as a bad plugin does."""
    until.wait(20)


async def test_it_tells_while_it_lasts() -> None:
    """A blocked loop is reported with the stack that blocks it, before it is free again."""
    told: list[tuple[float, list[traceback.FrameSummary]]] = []
    heard = threading.Event()

    def tell(seconds: float, stack: list[traceback.FrameSummary]) -> None:
        told.append((seconds, stack))
        heard.set()

    watch = StallWatch(tell, after=0.2)
    watch.start()
    try:
        hold_up(heard)
    finally:
        watch.stop()
    assert heard.is_set()
    seconds, stack = told[0]
    assert 0.2 <= seconds < 20
    assert "hold_up" in [frame.name for frame in stack]


async def test_it_is_quiet() -> None:
    """A loop that runs is not reported, even if it has much to do, and the thread ends with its watch."""
    told: list[float] = []
    watch = StallWatch(lambda seconds, _: told.append(seconds), after=5.0)
    watch.start()
    ends = time.monotonic() + 1.2
    while time.monotonic() < ends:
        sum(range(10_000))
        await asyncio.sleep(0)
    watch.stop()
    async with asyncio.timeout(10):
        while any(thread.name == "stall-watch" for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert told == []


def frame(filename: str) -> traceback.FrameSummary:
    """Return a frame in a file."""
    return traceback.FrameSummary(filename, 7, "acts")


def plugin(name: str, file: str, origin: str = "test") -> Plugin:
    """Return a plugin in a file."""
    module = types.ModuleType(name)
    module.__file__ = file
    return Plugin(name, module, origin)


@pytest.mark.parametrize(
    ("stack", "blamed"),
    [
        (["/loop.py", "/plugins/one.py", "/lib/sleep.py"], "one"),
        (["/loop.py", "/site/two/deep/inside.py"], "two"),
        (["/loop.py", "/ours.py"], None),
        (["/loop.py", "/plugins/one.py.py"], None),
    ],
)
def test_who_is_blamed(stack: list[str], blamed: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """The plugin whose file or package is in the stack is named and counted; our own code is no plugin."""
    plugins = [
        plugin("one", "/plugins/one.py"),
        plugin("two", "/site/two/__init__.py"),
        plugin("ours", "/ours.py", "built-in"),
    ]
    blame = Blame(lambda: plugins)
    blame.tell(1.0, [frame(name) for name in stack])
    assert {one.name: one.failures for one in plugins if one.failures} == ({blamed: 1} if blamed else {})
    assert (f"plugin {blamed!r} has held everything up for 1.0 s" in caplog.text) == bool(blamed)


def test_nobodys_fault(caplog: pytest.LogCaptureFixture) -> None:
    """If something other than a plugin blocks the loop for long, that is reported too, with where it is."""
    with caplog.at_level(logging.ERROR):
        Blame(list).tell(6.0, [frame("/ours.py")])
    assert "the event loop has been held up for 6.0 s" in caplog.text
    assert '"/ours.py", line 7, in acts' in caplog.text
