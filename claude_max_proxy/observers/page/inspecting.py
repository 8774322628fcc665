"""The inspector on the page: what was said in the last requests, and the switch for that."""

from __future__ import annotations

from typing import Annotated

import msgspec

from claude_max_proxy import Call, Context, InvalidRequest, NotFound, Response, Route
from claude_max_proxy.facts.inspection import Inspection
from claude_max_proxy.observers.page import conversation
from claude_max_proxy.observers.page.answering import Pages, html, inspection
from claude_max_proxy.observers.page.security import check_token


MINUTES = (5, 15, 60)
_MINUTE = 60.0  # seconds
_OFF = "The configuration does not allow the inspector: `enabled = false` in `[plugins.inspector]`."


class _Begin(msgspec.Struct):
    """What the form says; a browser sends all of it as text."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=MINUTES[-1])]
    key: Annotated[str, msgspec.Meta(max_length=200)] = ""
    model: Annotated[str, msgspec.Meta(max_length=200)] = ""


class InspectorViews:
    """The views of the inspector of one configuration."""

    def __init__(self, context: Context, pages: Pages) -> None:
        """Show what the inspector of ``context`` holds."""
        self._context = context
        self._pages = pages

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/inspector", self._list, "The page: what was said, while that is kept", "admin"),
            Route("GET", "/inspector/{id}", self._one, "The page: what was said in a request", "admin"),
            Route("POST", "/inspector/on", self._begin, "Keeps what is said, for a while", "admin"),
            Route("POST", "/inspector/off", self._end, "Keeps nothing any longer, and wipes it", "admin"),
        ]

    async def _list(self, call: Call) -> Response:
        found = inspection(self._context)
        if found is None:
            return await self._missing(call, "There is no inspector here", _OFF, "requests")
        return await self._pages.page(
            call,
            "inspector.html",
            "Requests",
            rows=[conversation.row(one) for one in found.requests()],
            minutes=MINUTES,
            keys=list(self._context.config.server.api_keys),
            models=list(self._context.models()),
        )

    async def _one(self, call: Call) -> Response:
        inspector = inspection(self._context)
        found = inspector.request(call.parameters["id"]) if inspector is not None else None
        if found is None:
            text = "What was said in it is not held: it was not kept, or it has been wiped."
            return await self._missing(call, "Nothing is held of this request", text, "inspector")
        return await self._pages.page(
            call, "said.html", "Requests", one=found, groups=conversation.groups(found)
        )

    async def _begin(self, call: Call) -> Response:
        check_token(call.body)
        try:
            asked = msgspec.json.decode(call.body, type=_Begin, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"the body is not what the page sends: {error}") from error
        self._inspection().begin(asked.minutes * _MINUTE, call.client.key, asked.key, asked.model.strip())
        return html("")

    async def _end(self, call: Call) -> Response:
        check_token(call.body)
        self._inspection().end(call.client.key)
        return html("")

    def _inspection(self) -> Inspection:
        found = inspection(self._context)
        if found is None:
            raise NotFound(_OFF, code="inspector_disabled")
        return found

    async def _missing(self, call: Call, heading: str, text: str, back: str) -> Response:
        return await self._pages.page(
            call, "error.html", "Requests", 404, heading=heading, text=text, back=back
        )
