"""The views Now, Models and Setup: what they are asked for, and the proxy that they look at."""

from __future__ import annotations

import asyncio
from functools import partial

from claude_max_proxy import Call, Context, Response, Route
from claude_max_proxy.observers.page import rendering, setup, snippets
from claude_max_proxy.observers.page.answering import Pages, html, prepared
from claude_max_proxy.observers.page.doctor import Doctor
from claude_max_proxy.observers.page.live import Live
from claude_max_proxy.observers.page.security import check_token
from claude_max_proxy.observers.page.watching import Watching


class Views:
    """The views of one configuration that need no ledger."""

    def __init__(self, context: Context, pages: Pages) -> None:
        """Show what is in ``context``."""
        self._context = context
        self._pages = pages
        self._watching = Watching(context)
        self._doctor = Doctor(context.config.source)

    def routes(self) -> list[Route]:
        """Return the routes."""
        live = Live(self._context, self._watching, partial(first_request, self._context))
        return [
            Route("GET", "/", self._now, "The page: what happens now", "admin"),
            Route("GET", "/now/events", live.answer, "What changes on the page, as it happens", "admin"),
            Route("GET", "/try", self._models, "The page: models, and a chat with any of them", "admin"),
            Route("GET", "/setup", self._setup, "The page: how programs connect", "admin"),
            Route("POST", "/setup/doctor", self._findings, "Runs the checks of the doctor", "admin"),
        ]

    async def _now(self, call: Call) -> Response:
        if beginning := self._pages.place.beginning(call.path):
            return Response(b"", 307, headers={"location": beginning})
        facts, _ = await asyncio.gather(self._watching.facts(), prepared("now.html"))
        example = first_request(self._context, call)
        return await self._pages.page(call, "now.html", "Now", example=example, **facts)

    async def _models(self, call: Call) -> Response:
        config = self._context.config
        rows = setup.model_rows(self._context.models(), config.models)
        return await self._pages.page(
            call,
            "models.html",
            "Models",
            models=rows,
            chosen=setup.chosen(call.query.get("model", ""), [row.name for row in rows]),
            keyed=bool(config.server.api_keys),
            tools=setup.SAMPLE_TOOLS,
        )

    async def _setup(self, call: Call) -> Response:
        base, keyed = base_url(self._context, call), bool(self._context.config.server.api_keys)
        return await self._pages.page(
            call,
            "setup.html",
            "Setup",
            base=base,
            keyed=keyed,
            snippets=snippets.snippets(base, first_model(self._context), key(self._context)),
            plugins=self._context.plugins(),
            tables=setup.config_tables(self._context.settings()),
        )

    async def _findings(self, call: Call) -> Response:
        check_token(call.body)
        await prepared("findings.html")
        return html(rendering.render("findings.html", findings=await self._doctor.findings()))


def first_request(context: Context, call: Call) -> str:
    """Return a first request with curl, to where the reader's browser finds the proxy."""
    secret = key(context) if context.config.server.api_keys else ""
    return snippets.curl(base_url(context, call), first_model(context), secret)


def base_url(context: Context, call: Call) -> str:
    """Return the address at which the reader's browser finds the proxy."""
    server = context.config.server
    encrypted = bool(server.tls_certificate) or call.headers.get("x-forwarded-proto") == "https"
    fallback = f"{server.host}:{server.port}"
    base = snippets.base_url(call.headers.get("host", ""), "https" if encrypted else "http", fallback)
    return base + snippets.prefix(call.headers.get("x-forwarded-prefix", ""))


def first_model(context: Context) -> str:
    """Return the model to show in examples."""
    return setup.chosen("", list(context.models())) or "claude-sonnet-4"


def key(context: Context) -> str:
    """Return what stands for the API key in examples."""
    return "YOUR-KEY" if context.config.server.api_keys else "unused"
