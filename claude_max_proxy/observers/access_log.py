"""Writes one line to the log for each finished request, refused ones too, without any of its content.

A request that failed is a WARNING if whoever runs the proxy may have to do something: the proxy or the
provider failed, a login or a key was not accepted, or a limit is reached. What only the client can change is
no more than INFO, such as a wrong field or an unknown model, and so is a client that left.
"""

from __future__ import annotations

import logging
from typing import Any

from claude_max_proxy import Record, hookimpl


logger = logging.getLogger("claude_max_proxy.access")
_NOTABLE = frozenset({401, 403, 429})
_LONGEST = 60  # characters of a program's name, which may contain anything
_OUTCOMES = {"completed": "", "refused": "refused", "broken": "broken off", "left": "client left"}


class _Line(logging.LogRecord):
    """The line of a request, which also has the values in it as ``fields``."""

    def __init__(self, level: int, record: Record) -> None:
        super().__init__(logger.name, level, __file__, 0, line(record), None, None)
        self.request_id = record.id
        self._record = record

    @property
    def fields(self) -> dict[str, Any]:
        """The values; only the log for programs needs them."""
        return fields(self._record)


@hookimpl
def log_request(record: Record) -> None:
    """Write the line for a request."""
    level = level_of(record)
    if logger.isEnabledFor(level):
        logger.handle(_Line(level, record))  # `logger.log` would also look for the code that logs


def level_of(record: Record) -> int:
    """Return how important the line of a request is."""
    if record.ending == "broken" or record.status >= 500 or record.status in _NOTABLE:
        return logging.WARNING
    return logging.INFO


def line(record: Record) -> str:
    """Return a record as a line for people: status, names, tokens, times, and how it ended."""
    usage, client = record.usage, record.client
    words = [
        str(record.status),
        record.dialect or _plain(record.path),
        _plain(record.model),
        f"→ {record.backend}/{record.upstream_model}" if record.backend else "",
        "live" if record.live else "",
        f"replayed ({record.replayed})" if record.replayed else "",
        f"{usage.prompt_tokens}+{usage.output_tokens} tokens" if usage else "",
        f"first {record.first_token * 1000:.0f} ms" if record.first_token is not None else "",
        f"total {record.total * 1000:.0f} ms",
        f"queued {record.queued * 1000:.0f} ms" if record.queued >= 0.001 else "",
        f"key {client.key}" if client.key else "",
        f"program {_plain(client.program[:_LONGEST])}" if client.program else "",
        f"session {_plain(client.session)}" if client.session else "",
        f"· {_outcome(record)}" if _outcome(record) else "",
    ]
    return "  ".join(word for word in words if word)


def fields(record: Record) -> dict[str, Any]:
    """Return a record as values for programs; what is not known is left out."""
    usage, client = record.usage, record.client
    values = {
        "status": record.status,
        "ending": record.ending,
        "code": record.code,
        "error": record.error,
        "path": record.path,
        "dialect": record.dialect,
        "model": record.model,
        "backend": record.backend,
        "upstream_model": record.upstream_model,
        "answered_by": record.answered_by,
        "stream": record.stream,
        "live": record.live,
        "replayed": record.replayed,
        "finish": record.finish,
        "began": record.began,
        "queued": record.queued,
        "first_token": record.first_token,
        "last_token": record.last_token,
        "total": record.total,
        "pieces": record.pieces,
        "key": client.key,
        "program": client.program,
        "session": client.session,
        "address": client.address,
        "traceparent": record.traceparent,
        "replica": record.replica,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cache_read_tokens": usage.cache_read_tokens if usage else None,
        "cache_write_tokens": usage.cache_write_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
    }
    return {name: value for name, value in values.items() if value not in (None, "")}


def _outcome(record: Record) -> str:
    """Return how a request ended; empty if it was answered."""
    outcome = _OUTCOMES.get(record.ending, record.ending)
    error = _plain(record.error)
    return f"{outcome}: {error}" if outcome and error else outcome or error


def _plain(text: str) -> str:
    """Return a text from others as one line of printable characters, so that it cannot forge a log line."""
    return text if text.isprintable() else repr(text)[1:-1]
