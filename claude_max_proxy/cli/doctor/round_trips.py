"""One small question to each of the default models, all the way to the provider and back."""

from __future__ import annotations

import time
from functools import partial

from claude_max_proxy import Check, Config, Failed, Finding, Finished, Message, PartDelta, Request, Text
from claude_max_proxy.cli.quiet import started
from claude_max_proxy.config import DEFAULT_MODELS


_QUESTION = "Answer with the one word: ok"
_START_TIMEOUT = 30.0
_TIMEOUT = 120.0
_SHOWN = 40


def round_trips(config: Config) -> list[Check]:
    """Give one check for each meaning that the built-in names have."""
    names = {to: name for name, to in reversed(DEFAULT_MODELS.items()) if "*" not in name}
    return [
        Check(f"{name}: round trip", partial(_ask, config, name), _TIMEOUT, costs=True)
        for name in reversed(names.values())
    ]


async def _ask(config: Config, name: str) -> Finding:
    text, began, first = "", time.monotonic(), 0.0
    async with started(config, _START_TIMEOUT) as runtime:
        request = Request(name, messages=[Message("user", [Text(_QUESTION)])])
        async for event in runtime.gateway.answer(request, "doctor"):
            match event:
                case PartDelta():
                    first = first or time.monotonic() - began
                    text += event.text
                case Failed():
                    return Finding("fail", event.error.message, f"{event.error.code}: see docs/errors.md")
                case Finished():
                    answer = " ".join(text.split())[:_SHOWN]
                    return Finding("ok", f"answered {answer!r}, first token after {first:.1f} s from nothing")
    return Finding("fail", "the answer stopped before its end")
