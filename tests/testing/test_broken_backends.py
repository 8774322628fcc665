"""What the conformance suite finds in broken backends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import (
    Backend,
    Finished,
    Message,
    PartDelta,
    PartStarted,
    Request,
    Started,
    Text,
    complete_part,
)
from claude_max_proxy.errors import Overloaded
from claude_max_proxy.testing.conformance import check_backend
from tests.scripted import plugin_folder
from tests.testing.conforming import CALL, asking, backend_of, scripted


class Broken(Backend):
    """A correct backend, which is then broken in one place."""

    def __init__(self, **broken: Any) -> None:
        self._events: list[Any] = broken.pop("events", None) or [
            Started("m"),
            *complete_part(PartStarted(0, "text"), "x"),
            Finished("stop"),
        ]
        self._task: Any = None
        for name, value in broken.items():
            setattr(self, name, value)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def answer(self, request: Request, model: str) -> Any:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            await asyncio.sleep(0)
            yield event

    def describe(self, model: str) -> Any:
        from claude_max_proxy.backend import ModelInfo

        return ModelInfo(model)

    def health(self) -> Any:
        return {"status": "ok"}


async def never() -> None:
    """Never end."""
    await asyncio.sleep(3600)


async def changes(request: Request, model: str) -> Any:
    """Yield an answer that changes its request."""
    request.messages.append(Message("assistant", [Text("x")]))
    for event in (Started("m"), Finished("stop")):
        yield event


def connects(_: str) -> Any:
    """Return a description after a lookup."""
    import socket

    from claude_max_proxy.backend import ModelInfo

    with socket.socket() as connection:
        connection.connect_ex(("127.0.0.1", 9))
    return ModelInfo("m")


async def begins() -> None:
    """Start something and leave it running."""
    asyncio.get_running_loop().create_task(never(), name="left")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"events": [Finished("stop")]}, "the events break their grammar"),
        ({"events": [Started("m")]}, "stop before Finished or Failed"),
        ({"events": [Started("m"), Finished("stop"), Finished("stop")]}, "comes after the end"),
        ({"events": ["event"]}, "is no event"),
        ({"events": [Overloaded("no")]}, "an ordinary request failed"),
        ({"answer": changes}, "answering changed the request"),
        ({"describe": lambda _: {}}, "is no ModelInfo"),
        ({"describe": connects}, r"describe\(\) does I/O: \['socket.connect'\]"),
        ({"health": dict}, r"health\(\) has the status None"),
        ({"health": lambda: None}, "is no dict"),
        ({"stop": never}, r"stop\(\) does not end within"),
        ({"honors": {"seed"}}, "did you mean 'honours'"),
        ({"honours": {"sed"}}, "it honours 'sed', which is no capability; did you mean 'seed'"),
        ({"start": begins}, r"stop\(\) leaves tasks running"),
    ],
)
async def test_a_broken_backend(broken: dict[str, Any], message: str) -> None:
    """A backend that breaks a rule fails with that rule."""
    with pytest.raises(AssertionError, match=message):
        await check_backend(lambda: Broken(**broken), within=0.2)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_bug_is_not_hidden() -> None:
    """An exception that is not one of our errors is raised unchanged."""
    with pytest.raises(KeyError):
        await check_backend(lambda: Broken(events=[KeyError("x")]))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([Started("m"), Finished("stop")], "there is no tool call"),
        ([*CALL[:-1], Finished("stop")], "ends in 'stop'"),
        ([CALL[0], PartStarted(0, "tool_call", "", "look"), *CALL[2:]], "has no id"),
        ([*CALL[:2], PartDelta(0, "[]"), *CALL[3:]], "is no JSON object"),
    ],
)
async def test_broken_calls(tmp_path: Path, script: list[Any], message: str) -> None:
    """Tool calls that no client could use are found."""
    make = scripted(backend_of(plugin_folder(tmp_path), "scripted"), {"call": script})
    with pytest.raises(AssertionError, match=message):
        await check_backend(make, calling=asking("call"))
