"""Takes one request through the hooks: maps the model, rewrites, selects the backend, answers, records."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial

import msgspec

from claude_max_proxy.backend import Target
from claude_max_proxy.capabilities.honoured import CAPABILITIES, Known, name_ignored, refusal
from claude_max_proxy.concurrency.aside import aside, is_large
from claude_max_proxy.concurrency.endings import is_asked_for
from claude_max_proxy.config import near_miss
from claude_max_proxy.context import Context
from claude_max_proxy.errors import InternalError, InvalidRequest, NotFound, ProxyError
from claude_max_proxy.events import (
    Events,
    Failed,
)
from claude_max_proxy.formats.nesting import deep_path, too_deep
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.gateway import white_space_stops
from claude_max_proxy.gateway.embeddings import usage_of
from claude_max_proxy.gateway.estimates import estimate_tokens
from claude_max_proxy.gateway.fallback import Breakers, held, whole
from claude_max_proxy.gateway.forced_calls import called
from claude_max_proxy.gateway.structured_answers import checked
from claude_max_proxy.gateway.underway import Underway
from claude_max_proxy.gateway.watch import Watch
from claude_max_proxy.plugin.plugins import Plugins
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)


class Gateway:
    """Answers requests with one configuration's plugins and backends."""

    def __init__(
        self,
        context: Context,
        plugins: Plugins,
        breakers: Breakers | None = None,
        capabilities: Known = CAPABILITIES,
        underway: Underway | None = None,
    ) -> None:
        """Use what the runtime has built.

        The breakers, and the requests that are under way, are those of all configurations.
        """
        self.breakers = breakers or Breakers()
        self.underway = underway or Underway()
        self._context = context
        self._config = context.config
        self._replica = context.config.server.replica
        self._plugins = plugins
        self._backends = context.backends
        self._capabilities = capabilities

    async def answer(self, request: Request, dialect: str) -> Events:
        """Yield the events of the answer, which always end in ``Finished`` or ``Failed``.

        The observers then get the request's record. This raises nothing but a cancellation. Closing the
        generator early means that the client has left.
        """
        watch = Watch(request, dialect, self.underway, self._replica)
        try:
            async with aclosing(await self._wrapped(request, watch)) as events:
                async for event in events:
                    watch.see(event)
                    yield event
            if not watch.ended:
                yield watch.fail(InternalError("the backend's answer stopped before its end"))
        except ProxyError as error:
            if not watch.ended:
                yield watch.fail(error)
        except BaseException as error:  # even if our code has a bug, the answer must end properly
            if is_asked_for(error):
                if not watch.ended and error.args and isinstance(error.args[0], ProxyError):
                    watch.fail(error.args[0])  # whoever has cancelled the answer with it tells the client
                raise
            failure = _bug(request, error)
            if not watch.ended:
                yield watch.fail(failure)
        finally:
            await self._plugins.log_request(watch.close())

    async def embed(self, request: Request, body: bytes) -> bytes:
        """Return the answer to the body of an embeddings request, from the backend of its model.

        Raises a :class:`ProxyError` for what goes wrong. The observers get the request's record.
        """
        async with self._recorded(request, "openai-embeddings") as watch:
            target = await self._admitted(request)
            watch.asks(target)
            embeddings = await self._backends[target.backend].embed(body, target.model)
            if embeddings is None:
                raise NotFound(
                    f"the model {shown(request.model)} leads to [backends.{target.backend}], which gives no "
                    'embeddings; in [models], lead it to a backend of type "openai" or "local-embeddings"',
                    param="model",
                    code="embeddings_not_supported",
                )
            if usage := usage_of(embeddings):
                watch.see(usage)
            return embeddings

    async def count_tokens(self, request: Request, dialect: str) -> tuple[int, bool]:
        """Return the number of input tokens of ``request``, and whether it is an estimate.

        The request goes through the same hooks as for an answer, but fallbacks are not asked. Raises a
        :class:`ProxyError` for what goes wrong.
        """
        async with self._recorded(request, f"{dialect}-count") as watch:
            target = await self._prepared(request)
            watch.asks(target)
            if refused := self._refusal(request, target):
                raise refused
            counted = await self._backends[target.backend].count_tokens(request, target.model)
            if counted is not None:
                return counted, False
            return await aside(partial(estimate_tokens, request), large=is_large(request)), True

    @asynccontextmanager
    async def _recorded(self, request: Request, dialect: str) -> AsyncGenerator[Watch, None]:
        """Keep the record of a request whose answer has no events, and give it to the observers."""
        watch = Watch(request, dialect, self.underway, self._replica)
        try:
            yield watch
            watch.complete()
        except ProxyError as error:
            watch.fail(error)
            raise
        except (SystemExit, KeyboardInterrupt, RecursionError) as error:  # the backend raised it
            raise watch.fail(_bug(request, error)).error from error
        finally:
            await self._plugins.log_request(watch.close())

    async def _prepared(self, request: Request) -> Target:
        """Pass the request through the hooks that may change it, and return its target."""
        target = await self._admitted(request)
        _apply(target, request)
        await self._plugins.rewrite_request(request)
        return await self._override(request, target)

    async def _wrapped(self, request: Request, watch: Watch) -> Events:
        target = await self._prepared(request)
        return await self._plugins.wrap_events(request, self._with_fallbacks(request, target, watch))

    async def _with_fallbacks(self, request: Request, target: Target, watch: Watch) -> Events:
        """Ask the target and, as long as the client has received nothing, its fallbacks.

        Each fallback gets the same request, with what its own line of ``[models]`` sets where nothing else
        has set it.
        """
        ignored = len(request.ignored)
        candidates = self.breakers.candidates(self._able(request, target))
        for candidate in candidates:
            watch.asks(candidate)
            asked = request
            if candidate is not target:
                asked = msgspec.structs.replace(request)
                _apply(candidate, asked)
            asked.agent = candidate.agent
            last, begun, yielding = candidate is candidates[-1], False, False
            try:
                async with aclosing(self._from_one(asked, candidate, watch, last=last)) as events:
                    async for event in events:
                        begun = yielding = True
                        if isinstance(event, Failed):
                            self.breakers.note(candidate, event.error)
                        yield event
                        yielding = False
                break
            except ProxyError as error:
                self.breakers.note(candidate, error)
                if begun or last or not error.falls_back:
                    raise
                del request.ignored[ignored:]
                logger.warning(
                    "%s/%s failed, asking the next: %s", candidate.backend, candidate.model, error.logged
                )
            except BaseException as error:  # a bug in a backend, for which no plugin must be blamed
                if is_asked_for(error, yielding=yielding):
                    raise
                raise _bug(request, error) from error

    def _from_one(self, request: Request, candidate: Target, watch: Watch, *, last: bool) -> Events:
        """Return the events of a candidate's answer, held back as long as another answer can replace it."""
        backend, ignored = self._backends[candidate.backend], len(request.ignored)

        def ask() -> Events:
            del request.ignored[ignored:]
            name_ignored(request, backend.honours, self._capabilities)
            events = white_space_stops.events_of(backend, request, candidate.model)
            if request.tool_choice.forces:
                events = called(events, request)
            return events if request.response_schema is None else checked(events, request.response_schema)

        # An agent's request is never sent again, since what the agent has done cannot be undone.
        if not request.stream and request.agent is None and (backend.retries or not last):
            return whole(ask, backend.retries, watch.heard)
        return ask() if last else held(ask())

    def _able(self, request: Request, target: Target) -> list[Target]:
        """Return the target and its fallbacks, without those that cannot honour what ``request`` contains.

        If none of them can, this raises the :class:`InvalidRequest` of the first.
        """
        every = [target, *target.fallback]
        refusals = [self._refusal(request, one) for one in every]
        able = [one for one, refused in zip(every, refusals, strict=True) if refused is None]
        if not able and refusals[0] is not None:
            raise refusals[0]
        return able

    def _refusal(self, request: Request, target: Target) -> InvalidRequest | None:
        """Return why the backend of ``target`` cannot answer ``request``, or ``None`` if it can."""
        return refusal(request, self._backends[target.backend].honours, self._capabilities, target.agent)

    async def _admitted(self, request: Request) -> Target:
        """Return the target of a request, unless a plugin refuses the request."""
        target = await self._target(request)
        await self._plugins.admit_request(request, target, self._context)
        return target

    async def _target(self, request: Request) -> Target:
        answer = await self._plugins.map_model(request, self._config)
        if answer is None:
            known = [name for name in self._config.models if "*" not in name]
            raise NotFound(
                f"the model {shown(request.model)} does not exist here{near_miss(request.model, known)}",
                param="model",
                code="model_not_found",
            )

        target = _parsed(answer) if isinstance(answer, str) else answer
        return self._checked(target)

    async def _override(self, request: Request, target: Target) -> Target:
        answer = await self._plugins.select_backend(request, target, self._backends)
        if answer is None:
            return target

        other = _parsed(answer) if "/" in answer else Target(answer, target.model)
        return self._checked(other)

    def _checked(self, target: Target) -> Target:
        if target.backend not in self._backends:
            raise InternalError(f"a plugin chose the backend {target.backend!r}, which is not configured")
        return target


def _bug(request: Request, error: BaseException) -> ProxyError:
    """Log an exception that is a bug, and return the error that the client gets.

    If the cause is a request that is nested too deeply to be walked, the fault is the client's.
    """
    if isinstance(error, RecursionError) and (path := deep_path(request)):
        return too_deep(path)

    logger.error("a request for %r failed", request.model, exc_info=error)
    return InternalError("the proxy failed; its log has the details")


def _parsed(answer: str) -> Target:
    backend, _, model = answer.partition("/")
    return Target(backend, model)


def _apply(target: Target, request: Request) -> None:
    """Change the request by the target's line of ``[models]``.

    Its effort and limit apply if the client has set none; its instructions come before the client's.
    """
    if request.effort is None:
        request.effort = target.effort
    if request.max_tokens is None:
        request.max_tokens = target.max_tokens
    if target.system:
        request.system = "\n\n".join(text for text in (target.system, request.system) if text)
    _apply_temperature(target, request)


def _apply_temperature(target: Target, request: Request) -> None:
    """Apply the target's policy on sampling parameters.

    They are left to the backend, dropped, or forwarded, for which thinking is switched off.
    """
    given = [name for name in ("temperature", "top_p") if getattr(request, name) is not None]
    if given and target.temperature == "ignore":
        for name in given:
            setattr(request, name, None)
            request.ignore(name)
    if given and target.temperature == "forward" and request.effort is None:
        request.effort = "none"  # sampling and thinking exclude each other
