"""Adds the backend type "echo", which repeats the last message: `type = "echo"` in a `[backends.NAME]`."""

import re

import claude_max_proxy as proxy
from claude_max_proxy.backend import Backend, ModelInfo


class Echo(Backend):
    """Answers with the last message, word by word."""

    async def answer(self, request: proxy.Request, model: str) -> proxy.Events:
        """Yield the events that every backend yields: a start, parts with their deltas, and an end."""
        text = "".join(p.text for m in request.messages[-1:] for p in m.parts if isinstance(p, proxy.Text))
        yield proxy.Started(model)
        yield proxy.PartStarted(0, "text")
        for word in re.findall(r"\s*\S+|\s+$", text):
            yield proxy.PartDelta(0, word)
        yield proxy.PartEnded(0)
        yield proxy.Finished("stop")

    def describe(self, model: str) -> ModelInfo:
        """Return what is known about a model: only its name."""
        return ModelInfo(model, input_modalities=("text",))


@proxy.hookimpl
def register_backends(register: proxy.RegisterBackend) -> None:
    """Add the backend type."""
    register("echo", proxy.Settings, lambda _name, _settings: Echo())
