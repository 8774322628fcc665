"""What answers a Request: the contract that every backend keeps."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from claude_max_proxy.events import Events
from claude_max_proxy.request import Agent, Effort, Request


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
    """What a backend knows about a model of its own; ``None`` or empty where it does not.

    ``owner`` is whose model it is; the backend's name stands in for one that nobody knows.
    """

    name: str = ""
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    reasoning: bool | None = None
    efforts: tuple[str, ...] = ()
    owner: str = ""


class Backend(Protocol):
    """Answers requests. Built once per ``[backends.<name>]``; it does the I/O and owns what it starts.

    ``honours``, which a backend may leave out, names what it makes use of in ``Request.extra``, of the names
    in :mod:`claude_max_proxy.extras`. The others are refused or named as ignored before it is asked.
    ``any_stop``, which it may leave out too, says that stop sequences may be white space alone. Otherwise it
    never sees such a one: the gateway cuts its answer there, and closes it.
    """

    async def start(self) -> None:
        """Get ready. Returns at once; slow preparation goes on behind it."""

    async def stop(self) -> None:
        """End everything that was started, within a bounded time, also when :meth:`start` failed."""

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one reply, by the grammar of :mod:`claude_max_proxy.events`.

        A failure is a ``Failed`` event or a raised ``ProxyError``, whichever is nearer. Closing the iterator
        cancels the upstream's work.
        """

    def describe(self, model: str) -> ModelInfo:
        """Say what is known about an upstream model, without I/O."""

    def health(self) -> dict[str, Any]:
        """Say how it stands, without I/O: ``status`` ("ok", "degraded" or "unavailable") and details."""


@runtime_checkable
class TokenCounter(Protocol):
    """What a backend offers beside, when it knows how many tokens a request is. Without, it is estimated."""

    async def count_tokens(self, request: Request, model: str) -> int:
        """Count the tokens that ``request`` would put in. Raises :class:`ProxyError`."""


@runtime_checkable
class Embedder(Protocol):
    """What a backend offers beside, when its upstream gives embeddings."""

    async def embed(self, body: bytes, model: str) -> bytes:
        """Answer the body of ``POST /v1/embeddings`` for the upstream's ``model``, in the same API's form.

        Raises :class:`ProxyError`.
        """
