"""The views Requests and Usage: what they are asked for, and the ledger that they read."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import get_args

from claude_max_proxy import Call, Context, Response, Route
from claude_max_proxy.ledger import By, Ledger, Row
from claude_max_proxy.observers.page import drawings, exporting, filters, history
from claude_max_proxy.observers.page.answering import Pages, download, inspection
from claude_max_proxy.observers.page.views import first_request


_ROWS = 50
_KNOWN_SINCE = 90 * 86_400.0  # seconds in which a name must have been used to be a choice
_MOST_NAMES = 100


class Records:
    """The views of one configuration that show the ledger."""

    def __init__(self, context: Context, pages: Pages) -> None:
        """Show what is in the ledger of ``context``."""
        self._context = context
        self._pages = pages

    def routes(self) -> list[Route]:
        """Return the routes."""
        guarded, export = self._pages.guarded, self._export
        return [
            Route("GET", "/requests", guarded("Requests", self._requests), "The page: requests", "admin"),
            Route(
                "GET", "/requests/{id}", guarded("Requests", self._request), "The page: a request", "admin"
            ),
            Route("GET", "/usage", guarded("Usage", self._usage), "The page: what was used", "admin"),
            Route("GET", "/usage/export.csv", export("csv"), "Requests, as CSV", "admin"),
            Route("GET", "/usage/export.json", export("json"), "Requests, as JSON", "admin"),
        ]

    async def _requests(self, call: Call) -> Response:
        ledger = self._context.find(Ledger)
        if ledger is None:
            return await self._pages.page(
                call,
                "requests.html",
                "Requests",
                ledger=False,
                inspector=inspection(self._context) is not None,
            )

        asked = filters.asked(call.query, time.time())
        rows = await ledger.requests(asked.where, _ROWS + 1, asked.before)
        shown = rows[:_ROWS]
        return await self._pages.page(
            call,
            "requests.html",
            "Requests",
            ledger=True,
            inspector=inspection(self._context) is not None,
            filters=filters.request_filters(asked, await self._known(ledger)),
            rows=shown,
            filtered=asked.filtered,
            paged=asked.before is not None,
            newest=asked.link() if asked.before is not None else "",
            older=asked.link(shown[-1].cursor) if len(rows) > _ROWS else "",
            example=first_request(self._context, call),
        )

    async def _request(self, call: Call) -> Response:
        ledger = self._context.find(Ledger)
        row = await ledger.request(call.parameters["id"]) if ledger is not None else None
        if row is None:
            text = "The ledger has no request with this id; it may have been deleted."
            return await self._pages.page(
                call,
                "error.html",
                "Requests",
                404,
                heading="There is no such request",
                text=text,
                back="requests",
            )

        inspector = inspection(self._context)
        return await self._pages.page(
            call,
            "request.html",
            "Requests",
            row=row,
            held=inspector is not None and inspector.request(row.id) is not None,
            continued=history.continued(row),
            steps=drawings.waterfall(row.queued, row.first_token, row.last_token, row.total),
            parts_of_prompt=drawings.portions(
                row.cache_read_tokens, row.cache_write_tokens, row.input_tokens, row.output_tokens
            ),
            facts=history.facts(row, time.time()),
        )

    async def _usage(self, call: Call) -> Response:
        ledger = self._context.find(Ledger)
        if ledger is None:
            return await self._pages.page(call, "usage.html", "Usage", ledger=False)

        now = time.time()
        span = filters.span(call.query, now)
        found = await ledger.usage(span.by, span.since, span.until, span.where)
        gaps = await ledger.gaps(span.since, span.until)
        return await self._pages.page(
            call,
            "usage.html",
            "Usage",
            ledger=True,
            span=span,
            spans=filters.DAYS.items(),
            filters=filters.named_filters(span.values, await self._known(ledger)),
            tiles=history.usage_tiles(found),
            tabs=[(by, span.link("usage", by)) for by in filters.BYS],
            csv=history.export_link(span, "csv"),
            json=history.export_link(span, "json"),
            most=exporting.MOST,
            charted=span.by in history.CHARTED,
            rows=history.usage_rows(found, span.by),
            gaps=history.gap_words(gaps, now),
        )

    def _export(self, kind: str) -> Callable[[Call], Response]:
        def answer(call: Call) -> Response:
            ledger = self._context.find(Ledger)
            span = filters.span(call.query, time.time())
            rows = _none() if ledger is None else ledger.export(span.where)
            if kind == "csv":
                return download(exporting.as_csv(rows), "text/csv; charset=utf-8", "requests.csv")
            return download(exporting.as_json(rows), "application/json", "requests.json")

        return answer

    async def _known(self, ledger: Ledger) -> dict[str, list[str]]:
        """Return the names that there is something about, those with the most tokens first."""
        now = time.time()
        found = {}
        for by in get_args(By):
            if by in filters.NAMES:
                used = await ledger.usage(by, now - _KNOWN_SINCE, now)
                found[by] = [one.group for one in used[:_MOST_NAMES]]
        return found


async def _none() -> AsyncIterator[Row]:
    return
    yield
