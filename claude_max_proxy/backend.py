"""What answers a Request: the contract that every backend keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from claude_max_proxy.capabilities import Capability
from claude_max_proxy.events import Events
from claude_max_proxy.facts.plan_windows import PlanWindow
from claude_max_proxy.facts.processes import ProcessFacts
from claude_max_proxy.request import Agent, Effort, Request


__all__ = [
    "Backend",
    "ModelInfo",
    "Target",
]


class Target(msgspec.Struct, frozen=True):
    """Where a request goes, what its entry in ``[models]`` sets, and what is asked if it fails at once."""

    backend: str
    model: str
    effort: Effort | None = None
    max_tokens: int | None = None
    system: str = ""
    temperature: Literal["auto", "forward", "ignore"] = "auto"
    agent: Agent | None = None
    fallback: tuple[Target, ...] = ()


class ModelInfo(msgspec.Struct, frozen=True):
    """What a backend knows about one of its models; a field that it does not know is ``None`` or empty.

    ``owner`` is the organization that owns the model; if it is empty, the backend's name is shown instead.
    """

    name: str = ""
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    reasoning: bool | None = None
    efforts: tuple[str, ...] = ()
    owner: str = ""


class Backend(ABC):
    """Answers requests. One is built for each ``[backends.<name>]``; it does the I/O and ends what it starts.

    Every backend derives from this class and defines :meth:`answer`. All other members are optional. When a
    backend is registered or built, a further member whose name is close to that of an optional one is refused
    as a misspelling, unless the name begins with an underscore.

    ``honours`` names the capabilities (:mod:`claude_max_proxy.capabilities`) that the backend has. Before it
    is asked, the gateway refuses what it does not have, or names it as ignored. ``capabilities`` adds further
    ones to the built-in capabilities, under names that the plugin chooses.

    ``any_stop`` says that stop sequences may consist of white space alone; otherwise the gateway keeps such
    stop sequences from the backend, and cuts the answer itself. ``retries`` says how often the gateway asks
    again for a whole answer that broke off with :class:`UpstreamFailed` or :class:`Overloaded`, of which the
    client has seen nothing.
    """

    honours: Collection[str] = frozenset()
    capabilities: Mapping[str, Capability] = MappingProxyType({})
    any_stop: bool = False
    retries: int = 0

    async def start(self) -> None:
        """Get ready. Returns at once; slow preparation continues in the background."""

    async def stop(self) -> None:
        """End everything that was started, within a bounded time, also if :meth:`start` failed."""

    @abstractmethod
    def answer(self, request: Request, model: str) -> Events:
        """Yield the events of one reply, by the grammar of :mod:`claude_max_proxy.events`.

        To fail, either yield a ``Failed`` event or raise a ``ProxyError``. Closing the iterator cancels the
        work of the upstream.
        """

    def describe(self, model: str) -> ModelInfo:
        """Return what is known about an upstream model, without I/O."""
        return ModelInfo(model)

    def health(self) -> dict[str, Any]:
        """Return the state, without I/O: ``status`` ("ok", "degraded" or "unavailable") and details."""
        return {"status": "ok"}

    def windows(self) -> Sequence[PlanWindow]:
        """Return the windows of the provider's plan as they were last seen, with their pace, without I/O."""
        return ()

    def hear_windows(self, windows: Sequence[PlanWindow]) -> None:
        """Take note of windows of the same plan that another replica of the proxy has seen."""

    async def look_at_plan(self) -> None:
        """Bring :meth:`windows` up to date, by asking the provider if need be, because somebody looks at it.

        Nothing else may ask. It may do nothing if it did something a while ago, and does not fail. Who looks
        may stop waiting, so what takes longer than a moment belongs into a task of the backend's own.
        """

    def processes(self) -> Sequence[ProcessFacts]:
        """Return what can be told of each process that the backend runs, oldest first.

        This may read some small files for each process, so it is only called when somebody looks.
        """
        return ()

    async def count_tokens(self, request: Request, model: str) -> int | None:
        """Return the number of input tokens of ``request``, or ``None`` to have the gateway estimate it.

        Raises a :class:`ProxyError`.
        """

    async def embed(self, body: bytes, model: str) -> bytes | None:
        """Return the answer to the body of ``POST /v1/embeddings``, for the upstream's ``model``.

        Returns ``None`` if the backend has no embeddings. Raises a :class:`ProxyError`.
        """

    def expect(self, models: Collection[str]) -> None:
        """Learn which models of this backend ``[models]`` names; ``*`` in a name stands for any text.

        Called before the start, and again with every new configuration. Plugins can still choose others.
        """

    def take_over(self, before: Backend) -> None:
        """Receive the backend of the same name in the previous configuration, which may have another type.

        Called before the start. The previous backend may still finish what it was asked, so this is the place
        to share limits with it.
        """

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget what is kept for clients whose ``Client.owner`` is not in ``owners``, and keep nothing more.

        Called whenever a new configuration takes effect. Without API keys, ``""`` is the only owner.
        """
