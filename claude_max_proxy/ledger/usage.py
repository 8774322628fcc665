"""What can be asked of the ledger, and what it answers. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec


By = Literal["hour", "day", "key", "model", "program", "session", "backend", "dialect", "replica"]
Outcome = Literal["", "ok", "failed", "left"]


class Unavailable(Exception):
    """The database cannot be asked now; the message says why, without the password in its URL."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests are meant: those that match everything that is not ``None``.

    - ``model``: the name that clients asked for; ``upstream_model``: the backend's name for it.
    - ``outcome``: "ok", "failed" (a status of 400 or above), or "left" (the client left); "" means any.
    - ``since``, ``until``: in seconds since 1970; ``until`` itself is excluded. :meth:`Ledger.usage` takes
      them as arguments of their own.
    """

    key: str | None = None
    model: str | None = None
    program: str | None = None
    session: str | None = None
    backend: str | None = None
    upstream_model: str | None = None
    dialect: str | None = None
    code: str | None = None
    outcome: Outcome = ""
    since: float | None = None
    until: float | None = None


class Cursor(msgspec.Struct, frozen=True):
    """A place in the list of requests, the newest first: that of the request with these values."""

    began: float
    id: str


class Sums(msgspec.Struct, kw_only=True):
    """What many requests add up to.

    - ``failures``: those with a status of 400 or above; a client that left is none.
    - ``live``: those that continued a conversation in place.
    - ``price``: in US dollars, over those requests whose price is known; ``unpriced`` counts the others that
      used tokens.
    """

    requests: int = 0
    failures: int = 0
    live: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    price: float = 0.0
    unpriced: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The tokens of the whole prompts, cached ones included."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def tokens(self) -> int:
        """All tokens: those of the prompts, cached ones included, and those of the answers."""
        return self.prompt_tokens + self.output_tokens

    @property
    def cache_share(self) -> float | None:
        """The share of the prompts that was read from the cache; ``None`` if there was no prompt."""
        return self.cache_read_tokens / self.prompt_tokens if self.prompt_tokens else None

    def add(self, other: Sums) -> None:
        """Add another sum to this one."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))


SUMMED = Sums.__struct_fields__


class Usage(Sums, kw_only=True):
    """The sums of one group of requests.

    ``group`` is the key, model, … of the group, or the local day or hour as text ("2026-11-29",
    "2026-11-29 14:00"). ``start`` is when that day or hour begins, in seconds since 1970; ``None`` for other
    groups.
    """

    group: str
    start: float | None = None


class Spent(Sums, kw_only=True):
    """The sums of the requests since a time, for a budget."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that are missing: ``lost`` of them between two times in seconds since 1970, and why."""

    began: float
    ended: float
    lost: int
    reason: str


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How the ledger is.

    - ``place``: the database's URL without its password.
    - ``waiting``: rows that are not in the database yet; ``spilled`` of them are in a file on disk.
    - ``written``: rows that this process has put into the database.
    - ``lost``: rows for which there was no room, since the process started.
    - ``away``: why the database cannot be reached; empty if it can, or has not been needed yet.
    """

    place: str
    waiting: int = 0
    spilled: int = 0
    written: int = 0
    lost: int = 0
    away: str = ""
