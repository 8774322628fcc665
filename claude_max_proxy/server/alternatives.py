"""Asks for several answers to one request, some at a time, and merges their events into one stream."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from claude_max_proxy import request_id
from claude_max_proxy.concurrency.endings import is_asked_for
from claude_max_proxy.errors import InternalError
from claude_max_proxy.events import Alternative, Event, Events, Failed, Finished, Usage
from claude_max_proxy.request import Request
from claude_max_proxy.server.answers import cancel


logger = logging.getLogger(__name__)

AT_ONCE = 4
"""How many answers are made at a time, so that one request does not take every process."""
_WAITING = 64  # events that nobody has taken yet

_Ask = Callable[[Request], Events]


async def alternatives(request: Request, ask: _Ask) -> AsyncGenerator[Event | Alternative, None]:
    """Yield the events of ``request.answers`` answers, as they come.

    The first one is asked for with ``request`` itself, whose headers the answer gets, and each further one
    with a copy as it was before any plugin has changed it. If it has a ``seed``, each copy has the next one,
    as the answers would be the same otherwise. The first failure ends all of them.
    """
    answers, merged = request.answers, _Merged(request, ask)
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(merged.ask(index), name=f"answer {index}") for index in range(answers)]
    why: tuple[Any, ...] = ()
    try:
        while merged.ended < answers:
            event = await merged.next()
            yield event
            if isinstance(event, Failed):
                return
        if merged.usage is not None:
            yield merged.usage
        yield Finished("stop")
    except asyncio.CancelledError as error:
        why = error.args
        raise
    finally:
        await cancel(*tasks, why=why)


class _Merged:
    """The events of all answers, and how far these have come."""

    def __init__(self, request: Request, ask: _Ask) -> None:
        self.ended = 0
        self.usage: Usage | None = None
        self._request = request
        self._pristine = copy.deepcopy(request)
        self._ask = ask
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._events: asyncio.Queue[Alternative] = asyncio.Queue(_WAITING)

    async def ask(self, index: int) -> None:
        """Make one of the answers, when it is its turn."""
        async with self._turns:
            asked = self._numbered(index) if index else self._request
            try:
                async with aclosing(self._ask(asked)) as events:
                    async for event in events:
                        await self._events.put(Alternative(index, event))
            except (
                BaseException
            ) as error:  # whatever it is, the others must not wait for this answer for ever
                if is_asked_for(error):
                    raise
                logger.exception("answer %d for %r failed", index + 1, asked.model)
                failure = InternalError("the proxy failed; its log has the details")
                await self._events.put(Alternative(index, Failed(failure)))

    async def next(self) -> Event | Alternative:
        """Return the next event; what was used is only added up."""
        while True:
            one = await self._events.get()
            match one.event:
                case Failed():
                    return one.event
                case Usage():
                    self.usage = _sum(self.usage, one.event)
                case Finished():
                    self.ended += 1
                    return one
                case _:
                    return one

    def _numbered(self, index: int) -> Request:
        """Return the request for one of the further answers, with an id that tells it from the others."""
        asked = copy.deepcopy(self._pristine)
        asked.id = f"{asked.id}-{index + 1}"
        if isinstance(seed := asked.extra.get("seed"), int):
            asked.extra["seed"] = seed + index
        request_id.go_on_as(asked.id)
        return asked


def _sum(before: Usage | None, now: Usage) -> Usage:
    if before is None:
        return now
    reasoning = [one for one in (before.reasoning_tokens, now.reasoning_tokens) if one is not None]
    return Usage(
        before.input_tokens + now.input_tokens,
        before.output_tokens + now.output_tokens,
        before.cache_read_tokens + now.cache_read_tokens,
        before.cache_write_tokens + now.cache_write_tokens,
        sum(reasoning) if reasoning else None,
    )
