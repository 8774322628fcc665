"""Checks the rules for backends: the grammar of events, cancellation, time limits, and where they do I/O."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Self, get_args

import msgspec

from claude_max_proxy import (
    Backend,
    ConfigError,
    Event,
    Failed,
    Folding,
    Message,
    ProxyError,
    Reply,
    Request,
    Text,
)
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.capabilities.honoured import all_capabilities, check_honours
from claude_max_proxy.errors import InternalError
from claude_max_proxy.plugin.members import check_members


_PROMPT = 0.05
_STATUSES = ("ok", "degraded", "unavailable", "starting")
_AT_ONCE = 2


async def check_backend(
    make_backend: Callable[[], Backend],
    *,
    model: str = "test",
    request: Request | None = None,
    calling: Request | None = None,
    failing: Request | None = None,
    within: float = 10.0,
) -> None:
    """Check the backends that ``make_backend`` makes.

    This checks events, failures, cancellation, ``stop``, ``health`` and ``describe``, and raises
    :class:`AssertionError` with the rule that is broken.

    ``request`` is a request that the backend answers with text, ``calling`` one that it answers with a tool
    call, and ``failing`` one that it cannot answer. The last two can be left out. ``within`` limits every
    wait, in seconds.
    """
    request = request or Request(model, messages=[Message("user", [Text("Say something.")])])
    tasks = asyncio.all_tasks()
    unused = make_backend()
    _check_kind(unused)
    await _check_unused(unused, model, within)
    backend = make_backend()
    try:
        async with asyncio.timeout(within):
            await backend.start()
        await _check_answers(backend, model, request, within)
        if calling is not None:
            _check_calls(await _answer(backend, calling, model, within))
        if failing is not None:
            reply = await _answer(backend, failing, model, within)
            assert reply.error is not None, "a request that must fail was answered"
        await _check_cancellation(backend, model, request, within)
        _check_health(backend)
    finally:
        await _stop_twice(backend, within)
    left = {task for task in asyncio.all_tasks() - tasks if not task.done()}
    assert not left, f"stop() leaves tasks running: {left}"


def _check_kind(backend: Backend) -> None:
    """It is a backend, misspells none of a backend's members, and honours what is a capability."""
    try:
        check_members(backend, Backend, "the backend")
        known = all_capabilities([("the backend", backend.capabilities)])
        check_honours(backend.honours, known, "the backend")
    except ConfigError as error:
        raise AssertionError(str(error)) from error


async def _check_unused(backend: Backend, model: str, within: float) -> None:
    """Check that a backend can describe itself and stop although it was never started."""
    began = time.monotonic()
    with _Watching() as watching:
        info = backend.describe(model)
    assert isinstance(info, ModelInfo), f"describe() gives {info!r}, which is no ModelInfo"
    assert not watching.seen, f"describe() does I/O: {watching.seen}"
    assert time.monotonic() - began < _PROMPT, "describe() takes its time; it must answer from memory"
    _check_health(backend)
    await _stop_twice(backend, within)


def _check_health(backend: Backend) -> None:
    with _Watching() as watching:
        facts = backend.health()
    assert isinstance(facts, dict), f"health() gives {facts!r}, which is no dict"
    assert facts.get("status") in _STATUSES, (
        f"health() has the status {facts.get('status')!r}, not one of {_STATUSES}"
    )
    assert not watching.seen, f"health() does I/O: {watching.seen}"
    msgspec.json.encode(facts)


async def _check_answers(backend: Backend, model: str, request: Request, within: float) -> None:
    before = msgspec.json.encode([request.system, request.messages, request.tools])
    replies = [await _answer(backend, request, model, within)]
    replies += await asyncio.gather(
        *(_answer(backend, _copy(request), model, within) for _ in range(_AT_ONCE))
    )
    for reply in replies:
        assert reply.error is None, f"an ordinary request failed: {reply.error!r}"
    after = msgspec.json.encode([request.system, request.messages, request.tools])
    assert after == before, "answering changed the request, which may go to another backend next"


async def _answer(backend: Backend, request: Request, model: str, within: float) -> Reply:
    """Return the reply that an answer adds up to; raising a failure is the same as yielding ``Failed``."""
    folding = Folding()
    try:
        async with asyncio.timeout(within), aclosing(backend.answer(request, model)) as events:
            async for event in events:
                assert isinstance(event, get_args(Event)), f"{event!r} is no event"
                assert not folding.ended, f"{event!r} comes after the end"
                folding.add(event)
    except InternalError as error:
        raise AssertionError(f"the events break their grammar: {error.message}") from error
    except TimeoutError as error:
        raise AssertionError(f"there was no complete answer within {within} s") from error
    except ProxyError as error:
        folding.add(Failed(error))
    assert folding.ended, "the events stop before Finished or Failed"
    return folding.reply


def _check_calls(reply: Reply) -> None:
    assert reply.error is None, f"a request with tools failed: {reply.error!r}"
    assert reply.tool_calls, "there is no tool call in the answer"
    assert reply.reason == "tool_calls", f"an answer with tool calls ends in {reply.reason!r}"
    ids = [call.id for call in reply.tool_calls]
    assert all(ids), "a tool call has no id"
    assert len(set(ids)) == len(ids), f"two tool calls have one id: {ids}"
    for call in reply.tool_calls:
        assert call.name, "a tool call has no name"
        assert isinstance(msgspec.json.decode(call.arguments), dict), f"{call.arguments!r} is no JSON object"


async def _check_cancellation(backend: Backend, model: str, request: Request, within: float) -> None:
    """Check that a client can leave before the first event, between two events, and while nothing comes."""
    try:
        async with asyncio.timeout(within):
            await backend.answer(_copy(request), model).aclose()
            events = backend.answer(_copy(request), model)
            await anext(events)
            await events.aclose()
            waiting = asyncio.ensure_future(anext(backend.answer(_copy(request), model)))  # noqa: TID251  # awaited below
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
    except TimeoutError as error:
        raise AssertionError(f"an answer that nobody wants does not end within {within} s") from error
    reply = await _answer(backend, _copy(request), model, within)
    assert reply.error is None, f"after a cancellation a request failed: {reply.error!r}"


async def _stop_twice(backend: Backend, within: float) -> None:
    for time_ in ("", " a second time"):
        try:
            async with asyncio.timeout(within):
                await backend.stop()
        except TimeoutError as error:
            raise AssertionError(f"stop() does not end{time_} within {within} s") from error


def _copy(request: Request) -> Request:
    return msgspec.structs.replace(request, state=dict(request.state), ignored=[])


class _Watching:
    """Records which connections are made and which programs are started while it is entered."""

    _events = frozenset(
        {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.posix_spawn", "os.system"}
    )
    _current: _Watching | None = None
    _hooked = False

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> Self:
        if not _Watching._hooked:
            sys.addaudithook(_Watching._hear)  # a hook cannot be removed, so it is added only once
            _Watching._hooked = True
        _Watching._current = self
        return self

    def __exit__(self, *_: object) -> None:
        _Watching._current = None

    @staticmethod
    def _hear(event: str, _: tuple[Any, ...]) -> None:
        if _Watching._current is not None and event in _Watching._events:
            _Watching._current.seen.append(event)
