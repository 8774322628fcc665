"""The server's event loop: whatever stops it, it runs until the server has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from claude_max_proxy.cli.event_loop import run_to_its_end


def stop() -> None:
    """End the loop by calling its own ``stop``."""
    asyncio.get_running_loop().stop()


def leave() -> None:
    """End the loop as a script does that exits."""
    raise SystemExit(3)


@pytest.mark.parametrize("factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("ends", "told"),
    [(stop, "something stopped the event loop"), (leave, "something tried to end the proxy")],
)
def test_it_goes_on(
    factory: Any, ends: Callable[[], None], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that a callback or a task stops continues with all its work, and the log says who stopped it."""
    done: list[str] = []

    async def task() -> None:
        ends()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            loop.call_soon(ends)
            other = loop.create_task(task())
            loop.call_soon(done.append, "after")
            await asyncio.sleep(0.01)
            assert other.done()
            other.exception()
        done.append("end")

    run_to_its_end(main(), factory, lambda: done.append("left"))
    assert done == ["after"] * 3 + ["end", "left"]
    assert told in caplog.text
    assert __file__ in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("x"), KeyboardInterrupt()], ids=repr)
def test_its_own_end(error: BaseException) -> None:
    """The exception that ends the server itself is raised, and the loop is closed."""
    left: list[bool] = []

    async def main() -> None:
        raise error

    with pytest.raises(type(error)):
        run_to_its_end(main(), None, lambda: left.append(True))
    assert left == [True]


def test_an_interrupt(caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C ends a server that has not installed a handler for it yet."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        await asyncio.sleep(3600)

    with pytest.raises(KeyboardInterrupt):
        run_to_its_end(main(), None, lambda: None)
    assert caplog.text == ""
