"""A drop-in with the backend type "scripted", which answers by a script and remembers its questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from claude_max_proxy import (
    Event,
    Events,
    Finished,
    PartStarted,
    RegisterBackend,
    Request,
    Started,
    Usage,
    complete_part,
    hookimpl,
)
from claude_max_proxy import Settings as Table
from claude_max_proxy.backend import Backend, ModelInfo


Step = Event | float | Exception | Callable[[], Awaitable[None]]


def says(text: str) -> list[Step]:
    """Script an answer with this text."""
    return [
        Started("upstream-model"),
        *complete_part(PartStarted(0, "text"), text),
        Usage(3, 2),
        Finished("stop"),
    ]


class ScriptedSettings(Table, frozen=True):
    """``status`` is the status in its health."""

    status: str = "ok"


class Scripted(Backend):
    """Yields the events of ``script``; a number is a silence in seconds, and an exception is raised."""

    def __init__(self, name: str, settings: ScriptedSettings) -> None:
        self.name = name
        self.settings = settings
        self.script: list[Step] = says("Hello!")
        self.asked: list[tuple[Request, str]] = []
        self.given = 0
        self.closed = 0
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    async def answer(self, request: Request, model: str) -> Events:
        self.asked.append((request, model))
        try:
            for step in self.script:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                elif callable(step):
                    await step()
                else:
                    self.given += 1
                    yield step
        finally:
            self.closed += 1

    def describe(self, model: str) -> ModelInfo:
        return ModelInfo(
            f"scripted-{model}", 200_000, 32_000, ("text", "image"), reasoning=True, efforts=("low",)
        )

    def health(self) -> dict[str, Any]:
        return {"status": self.settings.status}


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("scripted", ScriptedSettings, Scripted)
