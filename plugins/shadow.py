"""Asks a second model the same and logs how it differs. `[plugins.shadow]` with `to = "other/model"`."""

import copy
import logging
from collections.abc import AsyncIterator, Mapping

import claude_max_proxy as proxy


tasks, logger = proxy.Tasks(), logging.getLogger(__name__)


class Settings(proxy.Settings, frozen=True):
    """`to` is the "backend/model" that is asked as well; nobody is shown its answer."""

    to: str = ""


@proxy.hookimpl
def select_backend(request: proxy.Request, backends: Mapping[str, proxy.Backend], settings: Settings) -> None:
    """Have the copy of the request ready."""
    name, _, model = settings.to.partition("/")
    if name in backends:
        request.state["shadow"] = backends[name].answer(copy.deepcopy(request), model)


@proxy.hookimpl
async def wrap_events(request: proxy.Request, events: proxy.Events) -> AsyncIterator[proxy.Event]:
    """Pass the answer on, and compare when it is complete: what was said, and what it cost."""
    seen = []
    async for event in events:
        seen.append(event)
        yield event
    if shadow := request.state.pop("shadow", None):
        tasks.start(compare(proxy.fold(seen), shadow), "shadow")


async def compare(ours: proxy.Reply, shadow: proxy.Events) -> None:
    """Log whether both say the same; never what."""
    theirs = proxy.fold([event async for event in shadow])
    logger.info(
        "shadow %s: %s | %s", "same" if ours.text == theirs.text else "differs", ours.usage, theirs.usage
    )
