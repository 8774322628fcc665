"""What the views Requests and Usage show, as values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from claude_max_proxy.ledger import By, Gap, Row, Usage
from claude_max_proxy.observers.page import formatting
from claude_max_proxy.observers.page.filters import Span
from claude_max_proxy.observers.page.now import Tile


CHARTED = ("hour", "day")
_LINKED = {"day": "day", "key": "key", "model": "model", "program": "program", "backend": "backend"}
_MOST_ROWS = 400


class UsageRow(msgspec.Struct, frozen=True):
    """The sums of one group; ``part`` is its share of all tokens, and ``at`` when its time begins."""

    name: str
    empty: str
    link: str
    at: int
    requests: int
    failed: int
    fresh: int
    written: int
    read: int
    prompt: int
    output: int
    cached: float | None
    price: float
    part: float


def usage_rows(found: Sequence[Usage], by: By) -> list[UsageRow]:
    """Return the rows of the table, the newest time first and otherwise the largest; a bounded number."""
    total = sum(one.tokens for one in found) or 1
    rows = [_usage_row(one, by, total) for one in found]
    return (rows[::-1] if by in CHARTED else rows)[:_MOST_ROWS]


def _usage_row(one: Usage, by: By, total: int) -> UsageRow:
    linked = by in _LINKED and one.group
    return UsageRow(
        name=one.group,
        empty=f"no {by}",
        link=f"requests?{urlencode({_LINKED[by]: one.group})}" if linked else "",
        at=int(one.start or 0),
        requests=one.requests,
        failed=one.failures,
        fresh=one.input_tokens,
        written=one.cache_write_tokens,
        read=one.cache_read_tokens,
        prompt=one.prompt_tokens,
        output=one.output_tokens,
        cached=one.cache_share,
        price=one.price,
        part=one.tokens / total,
    )


def usage_tiles(found: Sequence[Usage]) -> list[Tile]:
    """Return what all groups come to."""
    requests, failures, live = (
        sum(getattr(one, name) for one in found) for name in ("requests", "failures", "live")
    )
    return [
        Tile("Requests", formatting.count(requests), f"{formatting.exact(failures)} failed"),
        *token_tiles(found),
        Tile("Continued live", formatting.share(live / requests if requests else None), "of all requests"),
    ]


def token_tiles(found: Sequence[Usage]) -> list[Tile]:
    """Return the tokens of all groups, and what they cost by the API."""
    prompt, read, output = (
        sum(getattr(one, name) for one in found)
        for name in ("prompt_tokens", "cache_read_tokens", "output_tokens")
    )
    price, unpriced = sum(one.price for one in found), sum(one.unpriced for one in found)
    return [
        Tile(
            "Tokens in",
            formatting.count(prompt),
            f"{formatting.share(read / prompt)} from the cache" if prompt else "",
        ),
        Tile("Tokens out", formatting.count(output)),
        Tile(
            "API price",
            formatting.dollars(price),
            f"without {formatting.count(unpriced)} of unknown price" if unpriced else "what it would cost",
        ),
    ]


def today_tiles(found: Sequence[Usage] | None) -> list[Tile]:
    """Return the numbers of the day; ``None`` if they are not known yet."""
    if found is None:
        return [Tile(tile.name, formatting.NOTHING) for tile in today_tiles([])]
    requests, failures = sum(one.requests for one in found), sum(one.failures for one in found)
    return [
        Tile("Requests today", formatting.exact(requests), f"{formatting.exact(failures)} failed"),
        *token_tiles(found),
    ]


def gap_words(gaps: Sequence[Gap], now: float) -> list[str]:
    """Return a sentence for each time at which requests are missing."""
    return [
        f"{formatting.exact(gap.lost)} requests are missing between {formatting.clock(gap.began, now)} and "
        f"{formatting.clock(gap.ended, now)}: {gap.reason}"
        for gap in gaps[:20]
    ]


def whose(row: Row) -> str:
    """Return who asked: the key's name and the program, as far as they are known."""
    return " · ".join(filter(None, (row.key, row.program)))


def continued(row: Row) -> str:
    """Return whether the conversation went on in its process, in a sentence; empty if that is not known."""
    if row.live:
        return "It continued in the process that already held the conversation, so nothing was sent twice."
    return f"The conversation was replayed into another process: {row.replayed}." if row.replayed else ""


def facts(row: Row, now: float) -> list[tuple[str, str]]:
    """Return everything else that is known of a request, by names for people."""
    pace = ""
    if row.output_tokens and row.first_token is not None and row.last_token is not None:
        seconds = row.last_token - row.first_token
        pace = f"{row.output_tokens / seconds:.0f} tokens a second" if seconds > 0.05 else ""
    pairs = [
        ("Asked for", row.model),
        ("Answered by", "/".join(filter(None, (row.backend, row.upstream_model)))),
        ("API", f"{row.dialect or 'none'}, {row.path}" + (", streamed" if row.stream else "")),
        ("Began", formatting.clock(row.began, now, seconds=True)),
        ("Key", row.key),
        ("Program", row.program),
        ("Session", row.session),
        ("Ended with", row.finish),
        ("Deltas", f"{formatting.exact(row.pieces)}{f', {pace}' if pace else ''}" if row.pieces else ""),
        ("API price", formatting.dollars(row.price) if row.price is not None else ""),
        ("Replica", row.replica),
        ("Request id", row.id),
        ("Trace", row.traceparent),
    ]
    return [(name, value) for name, value in pairs if value]


def export_link(span: Span, kind: str) -> str:
    """Return the URL of the requests that a view of the usage adds up."""
    return span.link(f"usage/export.{kind}", span.by)
