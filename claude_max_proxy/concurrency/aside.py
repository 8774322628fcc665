"""Does work on large requests outside of the event loop, so that other requests are served meanwhile.

This work still delays others: Python's threads take turns, and a step inside a library, such as decoding a
body, is not interrupted. So only a few threads run at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from claude_max_proxy.concurrency import threads
from claude_max_proxy.request import Request


T = TypeVar("T")
LARGE_BODY = 1024 * 1024  # bytes
_LARGE = 1000  # parts of messages
_AT_A_TIME = 2
_room: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def aside(work: Callable[[], T], *, large: bool) -> T:
    """Do ``work`` and return its result: on a thread if it is ``large``, otherwise at once.

    Two threads run at a time. If the caller is cancelled, the thread still finishes its work, which must do
    nothing but compute.
    """
    if not large:
        return work()

    loop = asyncio.get_running_loop()
    room = _room.setdefault(loop, asyncio.Semaphore(_AT_A_TIME))
    async with room:
        return await threads.run(work, "large-request")


def is_large(request: Request) -> bool:
    """Return whether ``request`` has so many messages that walking them would delay other requests."""
    messages = request.messages
    return len(messages) > _LARGE or sum(len(message.parts) for message in messages) > _LARGE
