"""Asks a second model the same, and logs whether it differs: `[plugins.shadow]` with `to = "other/model"`."""

import copy
import logging
from typing import Annotated

import claude_max_proxy as proxy


tasks, log = proxy.Tasks(), logging.getLogger(__name__)


class Settings(proxy.Settings, frozen=True):
    """Who else is asked; nobody is shown the answer."""

    to: Annotated[str, proxy.Meta(description="The `backend/model` to ask as well. Empty asks nobody.")] = ""


@proxy.hookimpl
def select_backend(request: proxy.Request, backends: dict[str, proxy.Backend], settings: Settings) -> None:
    """Prepare a copy of the request for the second model."""
    name, _, model = settings.to.partition("/")
    if name in backends:
        request.state["shadow"] = backends[name].answer(copy.deepcopy(request), model)


@proxy.hookimpl
def wrap_events(request: proxy.Request, events: proxy.Events) -> proxy.Events | None:
    """Compare the answer with the second model's, if there is a copy of the request."""
    return compare(events, request.state.pop("shadow")) if "shadow" in request.state else None


async def compare(events: proxy.Events, shadow: proxy.Events) -> proxy.Events:
    """Yield the answer while the other model answers too; log whether they differ, but not what they say."""
    ours, other = proxy.Folding(), tasks.start(proxy.collect(shadow), "shadow")
    async for event in events:
        ours.add(event)
        yield event
    other.add_done_callback(lambda done: log.info("same: %s", done.result().text == ours.reply.text))
