"""What every dialect keeps: pure reading, refusals that name a field, streams that equal whole answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from claude_max_proxy import (
    Call,
    Client,
    ClientError,
    Dialect,
    Event,
    Failed,
    Finished,
    InternalError,
    Overloaded,
    PartDelta,
    PartEnded,
    PartStarted,
    Remembering,
    Request,
    Routed,
    Started,
    Usage,
    fold,
)


NOT_REQUESTS = (b"", b"{", b"null", b"[]", b'"text"', b"1", b"\xff\xfe", b'{"a":' * 2000, b"[" * 100_000)
_TEXT = ("Alpha, ", "“beta” ", "and\n\\gamma")
_ARGUMENTS = ('{"where": "Os', 'lo"}')
_CALL = ("callA1b2", "look")
EVENTS: tuple[Event, ...] = (
    Started("upstream-model"),
    PartStarted(0, "reasoning"),
    PartDelta(0, "Hm."),
    PartEnded(0),
    PartStarted(1, "text"),
    *(PartDelta(1, piece) for piece in _TEXT),
    PartEnded(1),
    PartStarted(2, "tool_call", *_CALL),
    *(PartDelta(2, piece) for piece in _ARGUMENTS),
    PartEnded(2),
    Usage(7, 5, 3),
    Finished("tool_calls"),
)


def check_dialect(dialect: Dialect, samples: Collection[bytes], *, tools: bool = True) -> None:
    """Check how ``dialect`` reads and writes; ``samples`` are JSON bodies that it takes.

    ``tools`` is false for an API that has no place for calls of tools.
    """
    assert dialect.name, "a dialect has a name"
    assert dialect.routes, "a dialect has routes"
    assert all(route.startswith("/") for route in dialect.routes), f"a route begins with /: {dialect.routes}"
    assert samples, "there is nothing to check without a sample"
    for sample in samples:
        _check_body(dialect, sample)
        request = dialect.read(sample)
        assert isinstance(request, Request), f"read() gives {request!r}, which is no Request"
        assert request.model, "the Request has no model"
        again = dialect.read(sample)
        assert request == again, f"reading is not pure: {request} is not {again}"
        _check_mutations(dialect, sample)
        _check_writing(dialect, sample, tools=tools)
    for body in NOT_REQUESTS:
        _refusal(dialect, body)
    _check_errors(dialect, next(iter(samples)))
    _check_further_routes(dialect)
    if isinstance(dialect, Remembering):
        _check_memory(dialect, dialect, samples)


def _check_body(dialect: Dialect, sample: bytes) -> None:
    """The type of its bodies, if it tells one, is the type of this one."""
    body = getattr(dialect, "body", None)
    if body is None:
        return

    try:
        msgspec.json.decode(sample, type=body)
    except msgspec.ValidationError as error:
        raise AssertionError(f"its body {body!r} is not what its samples are: {error}") from error


def _refusal(dialect: Dialect, body: bytes) -> ClientError | None:
    """Return the refusal of a body that is no request, or ``None`` if it is taken."""
    try:
        request = dialect.read(body)
    except ClientError as error:
        return error
    except Exception as error:
        raise AssertionError(f"{body[:60]!r} must be refused by a ClientError, not {error!r}") from error
    assert body not in NOT_REQUESTS, f"{body[:60]!r} was read as {request}"
    return None


def _check_mutations(dialect: Dialect, sample: bytes) -> None:
    """Replace each field by what has another type: it is refused by its name, or of no interest."""
    fields = msgspec.json.decode(sample)
    for name, value in fields.items():
        for wrong in (17, "text", [17], {"odd": 17}, True):
            if type(wrong) is type(value):
                continue
            error = _refusal(dialect, msgspec.json.encode({**fields, name: wrong}))
            param = error.param if error else name
            assert param, f"{name} = {wrong!r} is refused, but no field is named"
            assert name != "model" or error, f"model = {wrong!r} was taken"
    for name in fields:
        _refusal(dialect, msgspec.json.encode({key: value for key, value in fields.items() if key != name}))


def _check_writing(dialect: Dialect, sample: bytes, *, tools: bool) -> None:
    request = dialect.read(sample)
    reply = fold(EVENTS)
    calls = _CALL if tools else ()
    streamed_pieces = {"text": _TEXT} | ({"arguments": _ARGUMENTS} if tools else {})
    whole = _leaves(msgspec.json.decode(dialect.writer(request).whole(reply)))
    streaming = dialect.read(sample)
    streaming.stream = True
    first, second = dialect.writer(streaming), dialect.writer(streaming)
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
    assert dialect.writer(streaming).keep_alive(), "a client that waits must see something"


def _plain(leaves: list[Any]) -> list[str]:
    """The texts by their letters and digits, which is what must stay of an id."""
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
        request = dialect.read(sample)
        request.stream = True
        writer = dialect.writer(request)
        stream = writer.write(Started("upstream-model")) + writer.write(Failed(error))
        assert error.message in _strings(stream), (
            f"a stream that fails must say {error.message!r}: {stream!r}"
        )


def _check_further_routes(dialect: Dialect) -> None:
    """Ask each further route for what is not there: it answers in JSON, or refuses as a dialect does."""
    for route in dialect.further_routes if isinstance(dialect, Routed) else ():
        assert route.path.startswith("/"), f"a route begins with /: {route.path}"
        parameters = dict.fromkeys(re.findall(r"\{(\w+)\}", route.path), "nothing")
        body, error = _attempt(route.path, route.answer, Call(parameters, {}, Client()))
        assert error or msgspec.json.decode(body), f"{route.path} answers {body!r}"


def _check_memory(dialect: Dialect, memory: Remembering, samples: Collection[bytes]) -> None:
    """Let it go on from itself, and from what nothing is known of: it goes on, or names the field."""
    memory.take_over(dialect)
    for sample in samples:
        _, error = _attempt("resume()", memory.resume, dialect.read(sample))
        assert not error or error.param, f"what is not there is refused, but no field is named: {error}"


def _attempt(what: str, call: Callable[[Any], Any], argument: Any) -> tuple[Any, ClientError | None]:
    """Return what a call returns, or its refusal."""
    try:
        return call(argument), None
    except ClientError as error:
        return None, error
    except Exception as error:
        raise AssertionError(f"{what} must refuse by a ClientError, not {error!r}") from error


def _strings(stream: bytes) -> list[str]:
    """Every string in the JSON that a stream's lines carry, in order."""
    said: list[str] = []
    for line in stream.split(b"\n"):
        data = line.removeprefix(b"data:").strip()
        if data.startswith(b"{"):
            said += [leaf for leaf in _leaves(msgspec.json.decode(data)) if isinstance(leaf, str)]
    return said


def _leaves(value: Any) -> list[Any]:
    """Every value inside ``value``, and the objects themselves, in order."""
    match value:
        case dict():
            return [value, *(leaf for one in value.values() for leaf in _leaves(one))]
        case list():
            return [leaf for one in value for leaf in _leaves(one)]
        case _:
            return [value]
