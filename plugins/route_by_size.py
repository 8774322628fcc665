"""Sends long prompts elsewhere: `[plugins.route_by_size]` with `above = 200_000` and `to = "big/model"`."""

from collections.abc import Iterable
from typing import Annotated

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    """Which requests are long, and where they go."""

    above: Annotated[
        int, proxy.Meta(description="A request with more characters than this is a long one.")
    ] = 200_000
    to: Annotated[
        str, proxy.Meta(description="The backend, or `backend/model`, for long requests. Empty changes none.")
    ] = ""


@proxy.hookimpl
def select_backend(request: proxy.Request, settings: Settings) -> str | None:
    """Choose by the number of characters in the conversation; None leaves the choice to others."""
    if not settings.to:
        return None

    said = sum(length(message.parts) for message in request.messages)
    return settings.to if len(request.system) + said > settings.above else None


def length(parts: Iterable[proxy.Part]) -> int:
    """Return the number of characters in all texts, including those in tool results."""
    return sum(
        len(part.text) if isinstance(part, proxy.Text) else length(part.parts)
        for part in parts
        if isinstance(part, proxy.Text | proxy.ToolResult)
    )
