"""Checks a structured answer against the client's own schema, whichever backend it comes from.

An answer that a provider or the CLI considers valid need not be: they may know fewer or other rules. A whole
answer that breaks the schema fails. The client has already received a streamed answer by then, so it ends
with the failure instead of its proper end.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from claude_max_proxy.errors import UpstreamError
from claude_max_proxy.events import Events, Finished, PartDelta, PartStarted
from claude_max_proxy.formats.json_schema import compile_schema, value_problem


async def checked(events: Events, schema: Mapping[str, Any]) -> Events:
    """Yield an answer's events; raise :class:`UpstreamError` instead of its end if it breaks ``schema``.

    An answer that was cut off or refused, or that calls tools, is not checked; its reason says what it is.
    """
    texts: set[int] = set()
    said: list[str] = []
    async with aclosing(events):
        async for event in events:
            match event:
                case PartDelta() if event.index in texts:
                    said.append(event.text)
                case PartStarted(kind="text"):
                    texts.add(event.index)
                case Finished(reason="stop"):
                    _check("".join(said), schema)
                case _:
                    pass
            yield event


def _check(text: str, schema: Mapping[str, Any]) -> None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _broken("it is no JSON") from error
    if problem := value_problem(compile_schema(dict(schema), "response_format"), value):
        raise _broken(problem)


def _broken(problem: str) -> UpstreamError:
    return UpstreamError(
        f"the model's answer does not follow the schema of response_format: {problem}", code="invalid_output"
    )
