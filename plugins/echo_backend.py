"""The backend type "echo" says the last message again. Use it by `type = "echo"` in a `[backends.NAME]`."""

import re
from typing import Any

import claude_max_proxy as proxy


class Echo:
    """Answers word by word."""

    async def start(self) -> None:
        """Start nothing."""

    stop = start

    async def answer(self, request: proxy.Request, model: str) -> proxy.Events:
        """Return the events that every backend yields: a start, parts with their deltas, an end."""
        text = "".join(p.text for m in request.messages[-1:] for p in m.parts if isinstance(p, proxy.Text))
        yield proxy.Started(model)
        yield proxy.PartStarted(0, "text")
        for word in re.findall(r"\s*\S+|\s+$", text):
            yield proxy.PartDelta(0, word)
        yield proxy.PartEnded(0)
        yield proxy.Finished("stop")

    def describe(self, model: str) -> proxy.ModelInfo:
        """Know a model by its name alone."""
        return proxy.ModelInfo(model, input_modalities=("text",))

    def health(self) -> dict[str, Any]:
        """Need nothing, so always be well."""
        return {"status": "ok"}


@proxy.hookimpl
def register_backends(register: proxy.RegisterBackend) -> None:
    """Offer the type."""
    register("echo", proxy.Settings, lambda _name, _settings: Echo())
