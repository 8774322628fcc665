"""Puts every finished request into the ledger, without a word of what was said.

The ledger outlives a reload that leaves its URL as it is.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from claude_max_proxy import (
    Check,
    Config,
    ConfigError,
    Context,
    Finding,
    Meta,
    Record,
    RegisterCheck,
    hookimpl,
)
from claude_max_proxy import Settings as BaseSettings
from claude_max_proxy.ledger import Ledger, Unavailable, find_url


_CLOSE_WITHIN = 4.0  # seconds; a hook has five, unless its table says otherwise


class Settings(BaseSettings, frozen=True):
    """Where the ledger is, and how long it keeps requests."""

    url: Annotated[
        str,
        Meta(
            description="The database: `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE` with "
            "the extra `postgres`. `env:NAME` and `file:PATH` read the URL from there. Empty is the "
            "database of `[shared]` if there is one, and else the file `ledger.sqlite` in the user's data "
            "directory."
        ),
    ] = ""
    keep_days: Annotated[
        int,
        Meta(
            ge=0,
            description="After how many days a request is deleted; 0 keeps all. The sums of each hour stay.",
        ),
    ] = 90

    def __post_init__(self) -> None:
        """Refuse a URL of another kind when the file is read; a variable or a file is read at the start."""
        if not self.url.startswith(("env:", "file:")):
            try:
                find_url(self.url)
            except ConfigError as error:
                raise ValueError(str(error).partition(": ")[2]) from error


class _Holder:
    """The one ledger of this process: the plugins of an old and a new generation share this module."""

    ledger: Ledger | None = None


@hookimpl
def register_checks(register: RegisterCheck, config: Config, settings: Settings) -> None:
    """Let the doctor see whether the database can be used."""
    register(Check("ledger", partial(_check, settings, settings.url or config.shared.url)))


async def _check(settings: Settings, url: str) -> Finding:
    remedy = "see [plugins.ledger] url in proxy.toml"
    try:
        ledger = Ledger(await asyncio.to_thread(find_url, url), 0)
    except ConfigError as error:
        return Finding("fail", str(error), remedy)
    place = ledger.state().place
    if ledger.is_new:
        return Finding("ok", f"{place} is created with the first request")
    try:
        newest = await ledger.requests(limit=1)
    except Unavailable as error:
        return Finding("fail", f"{place} cannot be used, so requests wait on disk: {error}", remedy)
    finally:
        await ledger.close(_CLOSE_WITHIN)
    return Finding(
        "ok", f"{place} keeps requests for {_said(settings)}" + ("" if newest else "; there are none")
    )


def _said(settings: Settings) -> str:
    return f"{settings.keep_days} days" if settings.keep_days else "ever"


@hookimpl
async def configured(context: Context, settings: Settings) -> None:
    """Open the ledger, or keep the one that is open if it is the same; offer it to other plugins."""
    given = settings.url or context.config.shared.url
    url = await asyncio.to_thread(find_url, given)  # it may be in a file
    before = _Holder.ledger
    if before is not None and before.url == url:
        before.keep_for(settings.keep_days)
        context.offer(before)
        return

    _Holder.ledger = Ledger(url, settings.keep_days)
    context.offer(_Holder.ledger)
    if before is not None:
        await before.close(_CLOSE_WITHIN)


@hookimpl
def log_request(record: Record) -> None:
    """Put one request into the ledger, which writes it later."""
    if _Holder.ledger is not None:
        _Holder.ledger.add(record)


@hookimpl
async def shutdown() -> None:
    """Write what there is, and close the ledger."""
    ledger, _Holder.ledger = _Holder.ledger, None
    if ledger is not None:
        await ledger.close(_CLOSE_WITHIN)
