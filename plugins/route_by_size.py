"""Sends long prompts elsewhere. `[plugins.route_by_size]` with `above = 200_000` and `to = "big/model"`."""

from collections.abc import Iterable

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    """Requests of more than `above` characters go `to` another backend, or backend and model."""

    above: int = 200_000
    to: str = ""


@proxy.hookimpl
def select_backend(request: proxy.Request, settings: Settings) -> str | None:
    """Choose by the length of everything that was said; None leaves the choice to others."""
    if not settings.to:
        return None

    said = sum(length(message.parts) for message in request.messages)
    return settings.to if len(request.system) + said > settings.above else None


def length(parts: Iterable[proxy.Part]) -> int:
    """Count the characters of texts, also of those in tool results."""
    return sum(
        len(part.text) if isinstance(part, proxy.Text) else length(part.parts)
        for part in parts
        if isinstance(part, proxy.Text | proxy.ToolResult)
    )
