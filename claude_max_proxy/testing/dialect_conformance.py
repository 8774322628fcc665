"""Checks the rules for dialects: pure reading, refusals that name a field, streams equal to whole answers."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from claude_max_proxy import (
    Client,
    ClientError,
    ConfigError,
    Event,
    Failed,
    Finished,
    PartStarted,
    Request,
    Started,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.errors import InternalError, Overloaded
from claude_max_proxy.plugin.members import check_members
from claude_max_proxy.route import Call


NOT_REQUESTS = (b"", b"{", b"null", b"[]", b'"text"', b"1", b"\xff\xfe", b'{"a":' * 2000, b"[" * 100_000)
_TEXT = ("Alpha, ", "“beta” ", "and\n\\gamma")
_ARGUMENTS = ('{"where": "Os', 'lo"}')
_CALL = ("callA1b2", "look")
EVENTS: tuple[Event, ...] = (
    Started("upstream-model"),
    *complete_part(PartStarted(0, "reasoning"), "Hm."),
    *complete_part(PartStarted(1, "text"), *_TEXT),
    *complete_part(PartStarted(2, "tool_call", *_CALL), *_ARGUMENTS),
    Usage(7, 5, 3),
    Finished("tool_calls"),
)


def check_dialect(dialect: Dialect, samples: Collection[bytes], *, tools: bool = True) -> None:
    """Check how ``dialect`` reads and writes; raise :class:`AssertionError` with the rule that is broken.

    ``samples`` are JSON bodies that it accepts. ``tools`` is false for an API that has no tool calls.
    """
    _check_kind(dialect)
    assert dialect.name, "a dialect has a name"
    assert dialect.routes, "a dialect has routes"
    assert all(route.startswith("/") for route in dialect.routes), f"a route begins with /: {dialect.routes}"
    assert samples, "there is nothing to check without a sample"
    for sample in samples:
        _check_body(dialect, sample)
        exchange = dialect.open(sample)
        assert isinstance(exchange, Exchange), f"open() gives {exchange!r}, which is no Exchange"
        request = exchange.request
        assert isinstance(request, Request), f"open() gives {request!r}, which is no Request"
        assert request.model, "the Request has no model"
        again = dialect.open(sample).request
        assert request == again, f"reading is not pure: {request} is not {again}"
        _check_mutations(dialect, sample)
        _check_writing(dialect, sample, tools=tools)
    for body in NOT_REQUESTS:
        _refusal(dialect.open, body)
        if dialect.count_routes:
            _refusal(dialect.read_count, body)
    _check_errors(dialect, next(iter(samples)))
    _check_further_routes(dialect)
    _check_memory(dialect, samples)


def _check_kind(dialect: Dialect) -> None:
    """It is a dialect, and misspells none of a dialect's members."""
    try:
        check_members(dialect, Dialect, "the dialect")
    except ConfigError as error:
        raise AssertionError(str(error)) from error


def _check_body(dialect: Dialect, sample: bytes) -> None:
    """Check that the sample has the type that the dialect states for its bodies, if it states one."""
    if dialect.body is None:
        return

    try:
        msgspec.json.decode(sample, type=dialect.body)
    except msgspec.ValidationError as error:
        raise AssertionError(f"its body {dialect.body!r} is not what its samples are: {error}") from error


def _refusal(read: Callable[[bytes], Any], body: bytes) -> ClientError | None:
    """Return the error with which the dialect refuses a body, or ``None`` if it accepts the body."""
    try:
        request = read(body)
    except ClientError as error:
        return error
    except Exception as error:
        raise AssertionError(f"{body[:60]!r} must be refused by a ClientError, not {error!r}") from error
    assert body not in NOT_REQUESTS, f"{body[:60]!r} was read as {request}"
    return None


def _check_mutations(dialect: Dialect, sample: bytes) -> None:
    """Check that a field with a value of another type is either ignored, or refused with its name."""
    fields = msgspec.json.decode(sample)
    for name, value in fields.items():
        for wrong in (17, "text", [17], {"odd": 17}, True):
            if type(wrong) is type(value):
                continue
            error = _refusal(dialect.open, msgspec.json.encode({**fields, name: wrong}))
            param = error.param if error else name
            assert param, f"{name} = {wrong!r} is refused, but no field is named"
            assert name != "model" or error, f"model = {wrong!r} was taken"
    for name in fields:
        _refusal(
            dialect.open, msgspec.json.encode({key: value for key, value in fields.items() if key != name})
        )


def _check_writing(dialect: Dialect, sample: bytes, *, tools: bool) -> None:
    reply = fold(EVENTS)
    calls = _CALL if tools else ()
    streamed_pieces = {"text": _TEXT} | ({"arguments": _ARGUMENTS} if tools else {})
    whole = _leaves(msgspec.json.decode(dialect.open(sample).writer.whole(reply)))
    first, second = dialect.open(sample).writer, dialect.open(sample).writer
    assert first is not second, "each answer needs a writer of its own"
    streams = [bytearray(), bytearray()]
    for event in EVENTS:  # two answers at once must not mix
        streams[0] += first.write(event)
        streams[1] += second.write(event)
    for stream in streams:
        said = _strings(bytes(stream))
        for what, pieces in streamed_pieces.items():
            streamed = [leaf for leaf in said if leaf in pieces]
            assert "".join(streamed) == "".join(pieces), f"the {what} {pieces} streams as {streamed}"
        for word in calls:
            assert word in _plain(said), f"the stream lacks the tool call's {word!r}"
    arguments = "".join(_ARGUMENTS)
    assert reply.text in whole, f"the whole answer lacks the text {reply.text!r}"
    assert not tools or arguments in whole or msgspec.json.decode(arguments) in whole, (
        "the whole answer lacks the arguments"
    )
    for word in calls:
        assert word in _plain(whole), f"the whole answer lacks the tool call's {word!r}"
    assert dialect.open(sample).writer.keep_alive(), "a client that waits must see something"


def _plain(leaves: list[Any]) -> list[str]:
    """Return the letters and digits of each text; at least these must be left of an id."""
    return [re.sub(r"[^A-Za-z0-9]", "", leaf) for leaf in leaves if isinstance(leaf, str)]


def _check_errors(dialect: Dialect, sample: bytes) -> None:
    for error in (
        Overloaded('too "much"\nfor now — wait', retry_after=3),
        ClientError("no", param="messages[0]"),
        InternalError(""),
    ):
        envelope = dialect.error(error)
        assert error.message in _leaves(msgspec.json.decode(envelope)), (
            f"{envelope!r} lacks {error.message!r}"
        )
        writer = dialect.open(sample).writer
        stream = writer.write(Started("upstream-model")) + writer.write(Failed(error))
        assert error.message in _strings(stream), (
            f"a stream that fails must say {error.message!r}: {stream!r}"
        )


def _check_further_routes(dialect: Dialect) -> None:
    """Ask each further route for something that does not exist: it must answer in JSON or refuse properly."""
    for route in dialect.further_routes:
        assert route.path.startswith("/"), f"a route begins with /: {route.path}"
        parameters = dict.fromkeys(re.findall(r"\{(\w+)\}", route.path), "nothing")
        body, error = _attempt(route.path, route.answer, Call(parameters, {}, Client()))
        assert error or msgspec.json.decode(body), f"{route.path} answers {body!r}"


def _check_memory(dialect: Dialect, samples: Collection[bytes]) -> None:
    """Check that the dialect can take over from itself, and that a refusal by ``resume`` names the field."""
    dialect.take_over(dialect)
    for sample in samples:
        _, error = _attempt("resume()", dialect.open(sample).resume)
        assert not error or error.param, f"what is not there is refused, but no field is named: {error}"


def _attempt(what: str, call: Callable[..., Any], *arguments: Any) -> tuple[Any, ClientError | None]:
    """Return what a call returns, and the error with which it refuses."""
    try:
        found = call(*arguments)
        return (_awaited(found) if inspect.iscoroutine(found) else found), None
    except ClientError as error:
        return None, error
    except Exception as error:
        raise AssertionError(f"{what} must refuse by a ClientError, not {error!r}") from error


def _awaited(work: Coroutine[Any, Any, Any]) -> Any:
    """Await something on a thread, since the caller may be within an event loop itself."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


def _strings(stream: bytes) -> list[str]:
    """Return all strings in the JSON that the lines of a stream contain, in order."""
    said: list[str] = []
    for line in stream.split(b"\n"):
        data = line.removeprefix(b"data:").strip()
        if data.startswith(b"{"):
            said += [leaf for leaf in _leaves(msgspec.json.decode(data)) if isinstance(leaf, str)]
    return said


def _leaves(value: Any) -> list[Any]:
    """Return all values inside ``value``, including the objects, in order."""
    match value:
        case dict():
            return [value, *(leaf for one in value.values() for leaf in _leaves(one))]
        case list():
            return [leaf for one in value for leaf in _leaves(one)]
        case _:
            return [value]
