"""Adds a text to the system prompt of every request. `[plugins.inject_system]` with `text = "Be brief."`."""

from typing import Annotated

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    """What is added, where, and for which models."""

    text: Annotated[str, proxy.Meta(description="The text that is added. Empty adds nothing.")] = ""
    first: Annotated[
        bool, proxy.Meta(description="Put the text before the client's own instructions, not after them.")
    ] = False
    models: Annotated[
        list[str], proxy.Meta(description="The models, as clients name them, that get it. Empty means all.")
    ] = []


@proxy.hookimpl
def rewrite_request(request: proxy.Request, settings: Settings) -> None:
    """Add the text to the system prompt, with an empty line between."""
    if not settings.text or (settings.models and request.model not in settings.models):
        return

    texts = [request.system, settings.text]
    request.system = "\n\n".join(text for text in (texts[::-1] if settings.first else texts) if text)
