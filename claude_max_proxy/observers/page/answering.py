"""Makes the answers of the page: HTML with its headers, files, and downloads."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from claude_max_proxy import Call, Context, Response, __version__, aside
from claude_max_proxy.facts.inspection import Inspecting, Inspection
from claude_max_proxy.ledger import Unavailable
from claude_max_proxy.observers.page import assets, rendering
from claude_max_proxy.observers.page.places import Place
from claude_max_proxy.observers.page.security import GUARDED, KEPT, NOT_KEPT, TOKEN


VIEWS = (
    ("Now", ""),
    ("Requests", "requests"),
    ("Usage", "usage"),
    ("Models", "try"),  # the API has /models
    ("Setup", "setup"),
)
HTML = "text/html; charset=utf-8"
_View = Callable[[Call], Awaitable[Response]]


class Pages:
    """Renders views of the page, which is called ``title`` and begins at ``place``."""

    def __init__(self, title: str, place: Place, context: Context) -> None:
        """Take the title, the place, and the proxy whose page it is."""
        self.place = place
        self._title = title
        self._context = context

    async def page(self, call: Call, template: str, view: str, status: int = 200, **values: Any) -> Response:
        """Return the view that a template makes of the values."""
        await prepared(template)
        root = self.place.root(call.path)
        base: dict[str, Any] = {"root": root, "outside": f"{root}{self.place.outside}"}
        base |= {"token": TOKEN, "title": self._title, "views": VIEWS, "version": __version__}
        base["inspecting"] = inspecting(self._context)
        base |= {"now": time.time(), "bare": False, "oob": False, "view": view}
        return html(rendering.render(template, **{**base, **values}), status)

    def guarded(self, view: str, answer: _View) -> _View:
        """Return ``answer`` so that it says in words if the ledger's database is away."""

        @functools.wraps(answer)
        async def answered(call: Call) -> Response:
            try:
                return await answer(call)
            except Unavailable as error:
                text = f"{error}."
                heading = "The ledger cannot be asked now"
                return await self.page(call, "error.html", view, 503, heading=heading, text=text, back="")

        return answered


def inspection(context: Context) -> Inspection | None:
    """Return the inspector; ``None`` if the configuration has none."""
    return context.find(Inspection)  # type: ignore[type-abstract]  # it finds what derives from it


def inspecting(context: Context) -> Inspecting | None:
    """Return who inspects what is said; ``None`` if nobody does."""
    found = inspection(context)
    return found.state() if found is not None else None


async def prepared(template: str = "") -> None:
    """Load the files, and what a template needs, on a thread, when they are first needed."""
    if not rendering.is_prepared(template):
        await aside(functools.partial(rendering.prepare, template), large=True)


def html(text: str, status: int = 200) -> Response:
    """Return a page or a part of one, which nobody keeps."""
    return Response(text.encode(), status, HTML, {**GUARDED, **NOT_KEPT})


def download(pieces: AsyncIterator[bytes], media_type: str, name: str) -> Response:
    """Return a file to keep, piece by piece."""
    disposition = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(pieces, 200, media_type, {**GUARDED, **NOT_KEPT, **disposition})


async def static(call: Call) -> Response:
    """Return one of the page's files, which browsers keep: other content has another name."""
    await prepared()
    found = assets.served(call.parameters["name"])
    if found is None:
        return Response(b"there is no such file", 404, "text/plain; charset=utf-8", {**GUARDED, **NOT_KEPT})
    return Response(found.body, 200, found.media_type, {**GUARDED, **KEPT})
