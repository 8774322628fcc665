"""One small question to each of the default models, all the way to the provider and back."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Self

from claude_max_proxy import Check, Config, Failed, Finding, Finished, Message, PartDelta, Request, Text
from claude_max_proxy.cli.quiet import started
from claude_max_proxy.config import DEFAULT_MODELS
from claude_max_proxy.runtime import Runtime


_QUESTION = "Answer with the one word: ok"
_START_TIMEOUT = 30.0
_TIMEOUT = 120.0
_SHOWN = 40


class RoundTrips:
    """The checks, and the proxy that they share, which runs from the first of them to the end of all."""

    def __init__(self, config: Config) -> None:
        """Prepare; nothing is started before the first check."""
        self._config = config
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None

    async def __aenter__(self) -> Self:
        """Return them."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop what was started."""
        await self._stack.aclose()

    def checks(self) -> list[Check]:
        """Return one check for each meaning that the built-in names have."""
        names = {to: name for name, to in reversed(DEFAULT_MODELS.items()) if "*" not in name}
        return [
            Check(f"{name}: round trip", partial(self._ask, name), _TIMEOUT, costs=True)
            for name in reversed(names.values())
        ]

    async def _ask(self, name: str) -> Finding:
        if self._runtime is None:
            self._runtime = await self._stack.enter_async_context(started(self._config, _START_TIMEOUT))
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
