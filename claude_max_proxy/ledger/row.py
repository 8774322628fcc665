"""One request as the ledger keeps it: a record made flat, without any content. Pure."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from claude_max_proxy.formats.quoting import plain
from claude_max_proxy.ledger.usage import Cursor
from claude_max_proxy.record import Record


HOUR = 3600  # seconds
_LONGEST = 200  # characters of what a client chose, such as a model's name
_MOST = 2**31 - 1  # what every database takes; some upstream may claim any number of tokens


def hour_of(time: float) -> int:
    """Return when the hour begins that a time belongs to; both are in seconds since 1970."""
    return int(time // HOUR) * HOUR


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    - ``id``: the request id, which is unique.
    - ``began``: when the request arrived, in seconds since 1970.
    - ``model``: the name that the client asked for; ``upstream_model``: the one that ``backend``
      answered with, or was asked for if it did not answer.
    - ``status``, ``code``, ``ending``, ``finish``, ``replayed``: as in :class:`claude_max_proxy.Record`.
    - ``first_token``, ``last_token``, ``total``, ``queued``: in seconds, as in the record.
    - ``input_tokens`` excludes those read from or written to the provider's cache; ``output_tokens`` includes
      those for reasoning.
    - ``price``: what the same tokens cost by the provider's API, in US dollars; ``None`` if it is not known.
    - ``replica``: the name of the proxy that answered.
    """

    id: str
    began: float
    key: str = ""
    program: str = ""
    session: str = ""
    dialect: str = ""
    path: str = ""
    model: str = ""
    backend: str = ""
    upstream_model: str = ""
    status: int = 200
    code: str = ""
    ending: str = ""
    finish: str = ""
    stream: bool = False
    live: bool = False
    replayed: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int | None = None
    first_token: float | None = None
    last_token: float | None = None
    total: float = 0.0
    queued: float = 0.0
    pieces: int = 0
    traceparent: str = ""
    price: float | None = None
    replica: str = ""

    @property
    def hour(self) -> int:
        """When the hour begins in which the request arrived, in seconds since 1970."""
        return hour_of(self.began)

    @property
    def cursor(self) -> Cursor:
        """The place of this request in the list of all."""
        return Cursor(self.began, self.id)

    @property
    def prompt_tokens(self) -> int:
        """The tokens of the whole prompt, cached ones included."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def cache_share(self) -> float | None:
        """The share of the prompt that was read from the cache; ``None`` if there was no prompt."""
        return self.cache_read_tokens / self.prompt_tokens if self.prompt_tokens else None


_COPIED = (
    "id",
    "began",
    "dialect",
    "path",
    "model",
    "backend",
    "upstream_model",
    "status",
    "code",
    "ending",
    "finish",
    "stream",
    "live",
    "replayed",
    "first_token",
    "last_token",
    "total",
    "queued",
    "pieces",
    "traceparent",
    "replica",
)
_COUNTED = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def row_of(record: Record, price: float | None = None) -> Row:
    """Return the row for a record; its texts become printable, and at most 200 characters long.

    The record's message is left out, since an error may quote what a client sent.
    """
    values = {name: getattr(record, name) for name in _COPIED}
    if record.usage is not None:
        values.update({name: getattr(record.usage, name) for name in _COUNTED})
    for name in ("key", "program", "session"):
        values[name] = getattr(record.client, name)
    values = {name: clean(value) for name, value in values.items()}
    values["upstream_model"] = clean(record.answered_by) or values["upstream_model"]
    values["id"] = values["id"] or uuid.uuid4().hex  # a plugin may have made the record
    return Row(**values, price=price)


def clean(value: Any) -> Any:
    """Return a value as any database can store and any terminal show it: NUL is no text in PostgreSQL."""
    if isinstance(value, str):
        return plain(value[:_LONGEST])[:_LONGEST]
    return max(-_MOST, min(value, _MOST)) if type(value) is int else value
