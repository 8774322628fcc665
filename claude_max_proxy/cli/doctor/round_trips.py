"""Checks that ask each of the default models a small question, all the way to the provider and back."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Self

from claude_max_proxy import Check, Failed, Finding, Finished, Message, PartDelta, Request, Text
from claude_max_proxy.cli.doctor.surroundings import CONFIGURATION
from claude_max_proxy.cli.inspecting import started
from claude_max_proxy.config import DEFAULT_MODELS
from claude_max_proxy.gateway.model_map import meaning
from claude_max_proxy.runtime.runtime import Runtime


_QUESTION = "Answer with the one word: ok"
_START_TIMEOUT = 30.0
_TIMEOUT = 120.0
_SHOWN = 40


class RoundTrips:
    """The checks, and the proxy that they share, which runs from the first check until all have ended."""

    def __init__(self, built: Runtime) -> None:
        """Prepare; the first check starts the proxy."""
        self._built = built
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None

    async def __aenter__(self) -> Self:
        """Return the round trips."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop what was started."""
        await self._stack.aclose()

    def checks(self, others: Collection[Check]) -> list[Check]:
        """Return one check for each model that the built-in names stand for.

        It needs the configuration, and those of the ``others`` that look at the only backend it can reach.
        """
        names = {to: name for name, to in reversed(DEFAULT_MODELS.items()) if "*" not in name}
        return [
            Check(
                f"{name}: round trip",
                partial(self._ask, name),
                _TIMEOUT,
                costs=True,
                needs=self._needs(name, others),
            )
            for name in reversed(names.values())
        ]

    def _needs(self, name: str, others: Collection[Check]) -> tuple[str, ...]:
        target = meaning(name, self._built.config)
        backends = {target.backend, *(one.backend for one in target.fallback)}
        own = [one.name for one in others if one.name.startswith(f"{target.backend}: ")]
        return (CONFIGURATION, *(own if len(backends) == 1 else ()))

    async def _ask(self, name: str) -> Finding:
        if self._runtime is None:
            self._runtime = await self._stack.enter_async_context(started(self._built, _START_TIMEOUT))
        text, began, first = "", time.monotonic(), 0.0
        request = Request(name, messages=[Message("user", [Text(_QUESTION)])])
        async for event in self._runtime.gateway.answer(request, "doctor"):
            match event:
                case PartDelta():
                    first = first or time.monotonic() - began
                    text += event.text
                case Failed():
                    return Finding("fail", event.error.message, f"{event.error.code}: see docs/errors.md")
                case Finished():
                    answer = " ".join(text.split())[:_SHOWN]
                    return Finding("ok", f"answered {answer!r}, first token after {first:.1f} s")
        return Finding("fail", "the answer stopped before its end")
