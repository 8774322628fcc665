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
async def wrap_events(request: proxy.Request, events: proxy.Events) -> proxy.Events:
    """Pass the answer on, and then ask the other model behind it."""
    ours, shadow = proxy.Folding(), request.state.pop("shadow", None)
    async for event in events:
        ours.add(event)
        yield event
    if shadow:
        tasks.start(compare(ours.reply.text, shadow), "shadow")


async def compare(text: str, shadow: proxy.Events) -> None:
    """Log whether both say the same, never what."""
    log.info("same: %s", (await proxy.collect(shadow)).text == text)


@proxy.hookimpl
async def shutdown() -> None:
    """End what still asks, as its backend is about to stop."""
    await tasks.close()
