"""Asks a second model the same and logs how it differs. `[plugins.shadow]` with `to = "other/model"`."""

import copy
import logging

import claude_max_proxy as proxy


tasks, log = proxy.Tasks(), logging.getLogger(__name__)


class Settings(proxy.Settings, frozen=True):
    """`to` is the "backend/model" that is asked as well; nobody is shown its answer."""

    to: str = ""


@proxy.hookimpl
def select_backend(request: proxy.Request, backends: dict[str, proxy.Backend], settings: Settings) -> None:
    """Have a copy of the request ready."""
    name, _, model = settings.to.partition("/")
    if name in backends:
        request.state["shadow"] = backends[name].answer(copy.deepcopy(request), model)


@proxy.hookimpl
def wrap_events(request: proxy.Request, events: proxy.Events) -> proxy.Events | None:
    """Stay out unless there is a copy."""
    return compare(events, request.state.pop("shadow")) if "shadow" in request.state else None


async def compare(events: proxy.Events, shadow: proxy.Events) -> proxy.Events:
    """Pass the answer on while the other model answers too; log whether both say the same, never what."""
    ours, other = proxy.Folding(), tasks.start(proxy.collect(shadow), "shadow")
    async for event in events:
        ours.add(event)
        yield event
    other.add_done_callback(lambda done: log.info("same: %s", done.result().text == ours.reply.text))
