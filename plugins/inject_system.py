"""Adds a text to the system prompt of every request. `[plugins.inject_system]` with `text = "Be brief."`."""

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    """`text` is added, `first` puts it before the client's own instructions, `models` limits it to these."""

    text: str = ""
    first: bool = False
    models: list[str] = []


@proxy.hookimpl
def rewrite_request(request: proxy.Request, settings: Settings) -> None:
    """Join the texts by an empty line."""
    if not settings.text or (settings.models and request.model not in settings.models):
        return

    texts = [request.system, settings.text]
    request.system = "\n\n".join(text for text in (texts[::-1] if settings.first else texts) if text)
