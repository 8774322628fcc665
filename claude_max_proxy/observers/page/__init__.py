"""The page, at ``/`` unless the settings say otherwise: what the proxy does and did, for people to look at.

It is a plugin like any other: it serves its own routes, and what it shows it finds in the
:class:`~claude_max_proxy.Context` and in the ledger. It shows names and numbers, and never what was
said, unless somebody has switched on the inspector.
"""

from __future__ import annotations

from claude_max_proxy import Context, RegisterRoute, Route, hookimpl
from claude_max_proxy.observers.page.answering import Pages, static
from claude_max_proxy.observers.page.inspecting import InspectorViews
from claude_max_proxy.observers.page.places import Place
from claude_max_proxy.observers.page.records import Records
from claude_max_proxy.observers.page.settings import Settings
from claude_max_proxy.observers.page.views import Views


__all__ = ["Settings", "register_routes"]


@hookimpl
def register_routes(register: RegisterRoute, context: Context, settings: Settings) -> None:
    """Serve the views and the files that they need."""
    place = Place(settings.path.rstrip("/"))
    pages = Pages(settings.title, place, context)
    for views in (Views(context, pages), Records(context, pages), InspectorViews(context, pages)):
        for route in views.routes():
            register(place.mounted(route))
    file = Route("GET", "/static/{name}", static, "A file that the page needs", "admin")
    register(place.mounted(file))
