"""``claude-max-proxy usage``: shows sums from the ledger, whether the proxy is running or not."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click
import msgspec

from claude_max_proxy.cli.table import print_table
from claude_max_proxy.config import Config, convert, load, split_policy
from claude_max_proxy.formats.quoting import plain
from claude_max_proxy.ledger import By, Gap, Unavailable, Usage, Where, find_url
from claude_max_proxy.ledger.place import file_of_url, shown, user_folder
from claude_max_proxy.ledger.spill import Spill
from claude_max_proxy.ledger.store import Store
from claude_max_proxy.ledger.usage import Sums
from claude_max_proxy.observers.ledger import Settings
from claude_max_proxy.runtime.runtime import find_config


_RELATIVE = re.compile(r"(\d{1,5})([mhdw])")
_SECONDS = {"m": 60, "h": 3600}
_SAID = "%Y-%m-%d %H:%M"
_HEAD = ("REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "API PRICE")


def run(config_file: str | None, by: By, since: str, until: str | None, *, as_json: bool) -> None:
    """Print the sums by group between two times, as a table or as JSON.

    Raises ``click.ClickException`` for a time that cannot be read, and for a database that cannot.
    """
    now = time.time()
    begin, end = moment(since, now), moment(until, now) if until else now
    on, url = _place(load(find_config(config_file)))
    if not on:
        click.echo("The ledger is switched off: [plugins.ledger] has `enabled = false`.", err=True)
    usage, gaps = _read(url, by, begin, end)
    if as_json:
        click.echo(_json(by, begin, end, usage, gaps))
    elif not usage:
        click.echo(_nothing(url, begin, end))
    else:
        _print(by, usage)
    if not as_json:
        _print_gaps(gaps)


def moment(text: str, now: float) -> float:
    """Return the time that a text means: `90m`, `24h`, `7d`, `2w`, a local date, or a date and a time.

    `7d` are today and the six days before it.
    """
    if match := _RELATIVE.fullmatch(text):
        number, unit = int(match[1]), match[2]
        if unit in _SECONDS:
            return now - number * _SECONDS[unit]
        days = number * (7 if unit == "w" else 1)
        today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ006
        return (today - timedelta(days=max(days - 1, 0))).timestamp()
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        example = "write it like 90m, 24h, 7d, 2026-11-01 or 2026-11-01T12:00"
        raise click.UsageError(f"{text!r} is no time: {example}") from error


def _place(config: Config) -> tuple[bool, str]:
    """Return whether the ledger is on, and its URL."""
    policy, own = split_policy(config.plugins.tables.get("ledger", {}), "plugins.ledger")
    settings: Settings = convert(own, Settings, "plugins.ledger")
    return policy.enabled, find_url(settings.url or config.shared.url)


def _read(url: str, by: By, since: float, until: float) -> tuple[list[Usage], list[Gap]]:
    """Ask the database, after what a proxy that has ended left on disk for it is written."""
    file, spill = file_of_url(url), Spill(user_folder(), url)
    if file is not None and not file.exists() and not spill.orphans():  # reading must not create it
        return [], []

    from claude_max_proxy.ledger import queries

    logging.getLogger("claude_max_proxy.ledger").addHandler(logging.NullHandler())  # the error says it all
    store = Store(url, spill, 0)
    try:
        usage = store.ask(lambda database: queries.usage(database, by, since, until, Where()))
        return usage, store.ask(lambda database: queries.gaps(database, since, until))
    except Unavailable as error:
        raise click.ClickException(f"the ledger {shown(url)} cannot be read: {error}") from error
    finally:
        store.close()


# --- what is printed ---------------------------------------------------------------------------------------


def _nothing(url: str, since: float, until: float) -> str:
    file = file_of_url(url)
    if file is not None and not file.exists():
        return f"There is no ledger yet: the proxy creates {file} when it gets its first request."
    return f"The ledger has no requests from {_said(since)} to {_said(until)}."


def _print(by: By, usage: Sequence[Usage]) -> None:
    total = Sums()
    for one in usage:
        total.add(one)
    rows = [(plain(one.group) or "-", *_numbers(one)) for one in usage]
    if len(rows) > 1:
        rows.append(("total", *_numbers(total)))
    head, *aligned = _aligned([(by.upper(), *_HEAD), *rows])
    print_table(head, aligned)
    if total.unpriced:
        click.echo(
            f"\nRequests whose model has no known price: {total.unpriced:,}. They are not in API PRICE."
        )


def _numbers(sums: Sums) -> tuple[str, ...]:
    share = sums.cache_share
    return (
        f"{sums.requests:,}",
        f"{sums.failures:,}",
        f"{sums.prompt_tokens:,}",
        f"{share:.0%}" if share is not None else "-",
        f"{sums.output_tokens:,}",
        _price(sums),
    )


def _price(sums: Sums) -> str:
    if not sums.price and sums.unpriced:
        return "-"
    return f"${sums.price:,.2f}" if sums.price >= 0.005 or not sums.price else "<$0.01"


def _aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the rows with their numbers, which are all columns but the first, at the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        [row[0], *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]


def _print_gaps(gaps: Sequence[Gap]) -> None:
    for gap in gaps:
        when = f"from {_said(gap.began)} to {_said(gap.ended)}"
        click.echo(f"\nRequests that are missing {when}: {gap.lost:,} ({plain(gap.reason)}).")


def _json(by: By, since: float, until: float, usage: Sequence[Usage], gaps: Sequence[Gap]) -> str:
    groups: list[dict[str, Any]] = [
        {
            "group": one.group,
            "start": one.start,
            **{name: getattr(one, name) for name in Sums.__struct_fields__},
            "cache_share": one.cache_share,
        }
        for one in usage
    ]
    whole = {"by": by, "since": since, "until": until, "usage": groups, "gaps": gaps}
    return msgspec.json.format(msgspec.json.encode(whole)).decode()


def _said(time_: float) -> str:
    return datetime.fromtimestamp(time_).astimezone().strftime(_SAID)
