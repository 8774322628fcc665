"""One request through the hooks: map the model, rewrite, select the backend, answer, and keep the record."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import aclosing

import msgspec

from claude_max_proxy import stops
from claude_max_proxy.answer_check import checked
from claude_max_proxy.backend import Backend, Embedder, Target, TokenCounter
from claude_max_proxy.config import Config, near_miss
from claude_max_proxy.errors import InternalError, NotFound, ProxyError
from claude_max_proxy.estimates import estimate_tokens
from claude_max_proxy.events import (
    Event,
    Events,
    Failed,
    Finished,
    PartDelta,
    PartStarted,
    Started,
    Usage,
)
from claude_max_proxy.extras import honoured_by, name_ignored, refusal
from claude_max_proxy.fallback import Breakers, held
from claude_max_proxy.plugins import Plugins
from claude_max_proxy.record import CLIENT_LEFT, Record
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)


class Gateway:
    """Answers requests with one configuration's plugins and backends."""

    def __init__(
        self,
        config: Config,
        plugins: Plugins,
        backends: Mapping[str, Backend],
        breakers: Breakers | None = None,
    ) -> None:
        """Use what the runtime built, and the breakers of the configuration before, if there was one."""
        self.breakers = breakers or Breakers()
        self._config = config
        self._plugins = plugins
        self._backends = backends

    async def answer(self, request: Request, dialect: str) -> Events:
        """Answer with events that always end in ``Finished`` or ``Failed``, and announce the record.

        Never raises, but for cancellation; closing it early is the client's leaving.
        """
        watch = _Watch(request, dialect)
        try:
            async with aclosing(await self._events(request, watch)) as events:
                async for event in events:
                    watch.see(event)
                    yield event
            if not watch.ended:
                yield watch.fail(InternalError("the backend's answer stopped before its end"))
        except ProxyError as error:
            if not watch.ended:
                yield watch.fail(error)
        except Exception as error:  # the boundary: a bug of ours must still end the answer
            failure = _bug(request, error)
            if not watch.ended:
                yield watch.fail(failure)
        finally:
            await self._plugins.log_request(watch.close())

    async def embed(self, request: Request, body: bytes) -> bytes:
        """Answer the body of an embeddings request by the backend of its model, and announce the record."""
        watch = _Watch(request, "openai-embeddings")
        try:
            target = await self._target(request)
            watch.record.backend, watch.record.upstream_model = target.backend, target.model
            backend = self._backends[target.backend]
            if not isinstance(backend, Embedder):
                raise NotFound(
                    f"the model {request.model!r} leads to [backends.{target.backend}], which gives no "
                    'embeddings; in [models], lead it to a backend of type "openai"',
                    param="model",
                    code="embeddings_not_supported",
                )
            answer = await backend.embed(body, target.model)
        except ProxyError as error:
            watch.fail(error)
            raise
        else:
            watch.record.status = 200
            return answer
        finally:
            await self._plugins.log_request(watch.close())

    async def count_tokens(self, request: Request, dialect: str) -> tuple[int, bool]:
        """Count the tokens that ``request`` puts in; say too whether that is an estimate.

        It goes through the hooks that an answer goes through, and to no fallback.
        """
        watch = _Watch(request, f"{dialect}-count")
        try:
            target = await self._prepared(request)
            watch.record.backend, watch.record.upstream_model = target.backend, target.model
            backend = self._backends[target.backend]
            if refused := refusal(request, honoured_by(backend)):
                raise refused
            counter = backend if isinstance(backend, TokenCounter) else None
            count = await counter.count_tokens(request, target.model) if counter else estimate_tokens(request)
        except ProxyError as error:
            watch.fail(error)
            raise
        else:
            watch.record.status = 200
            return count, counter is None
        finally:
            await self._plugins.log_request(watch.close())

    async def _prepared(self, request: Request) -> Target:
        """Let the hooks have the request, and give where it goes."""
        target = await self._target(request)
        _apply(target, request)
        await self._plugins.rewrite_request(request)
        return await self._override(request, target)

    async def _events(self, request: Request, watch: _Watch) -> Events:
        target = await self._prepared(request)
        return await self._plugins.wrap_events(request, self._answer(request, target, watch))

    async def _answer(self, request: Request, target: Target, watch: _Watch) -> Events:
        """Ask the target, and its fallbacks as long as nothing was said.

        Each fallback is asked the same, and what its own entry sets holds where nobody set anything.
        """
        ignored = len(request.ignored)
        candidates = self.breakers.candidates(self._able(request, target))
        for candidate in candidates:
            watch.record.backend, watch.record.upstream_model = candidate.backend, candidate.model
            asked = request
            if candidate is not target:
                asked = msgspec.structs.replace(request)
                _apply(candidate, asked)
            asked.agent = candidate.agent
            backend = self._backends[candidate.backend]
            name_ignored(asked, honoured_by(backend))
            events = stops.answer(backend, asked, candidate.model)
            if asked.response_schema is not None:
                events = checked(events, asked.response_schema)
            last, begun = candidate is candidates[-1], False
            try:
                async with aclosing(events if last else held(events)) as answer:
                    async for event in answer:
                        begun = True
                        if isinstance(event, Failed):
                            self.breakers.note(candidate, event.error)
                        yield event
                break
            except ProxyError as error:
                self.breakers.note(candidate, error)
                if begun or last or not error.falls_back:
                    raise
                del request.ignored[ignored:]
                logger.warning(
                    "%s/%s failed, asking the next: %s", candidate.backend, candidate.model, error.message
                )
            except Exception as error:  # a backend's bug, which no plugin around it shall be blamed for
                raise _bug(request, error) from error
            finally:
                await events.aclose()

    def _able(self, request: Request, target: Target) -> list[Target]:
        """Return the target and its fallbacks, without those that cannot honour what ``request`` carries.

        Raises the first one's :class:`InvalidRequest` when there are no others.
        """
        every = [target, *target.fallback]
        refusals = [refusal(request, honoured_by(self._backends[one.backend])) for one in every]
        able = [one for one, refused in zip(every, refusals, strict=True) if refused is None]
        if not able and refusals[0] is not None:
            raise refusals[0]
        return able

    async def _target(self, request: Request) -> Target:
        answer = await self._plugins.map_model(request, self._config)
        if answer is None:
            known = [name for name in self._config.models if "*" not in name]
            raise NotFound(
                f"the model {request.model!r} does not exist here{near_miss(request.model, known)}",
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


def _bug(request: Request, error: Exception) -> InternalError:
    """Log an exception that is nobody's failure but ours, and give what the client is told of it."""
    logger.error("a request for %r failed", request.model, exc_info=error)
    return InternalError("the proxy failed; its log has the details")


def _parsed(answer: str) -> Target:
    backend, _, model = answer.partition("/")
    return Target(backend, model)


def _apply(target: Target, request: Request) -> None:
    """Set what the ``[models]`` entry sets, where the client did not."""
    if request.effort is None:
        request.effort = target.effort
    if request.max_tokens is None:
        request.max_tokens = target.max_tokens
    if target.system:
        request.system = "\n\n".join(text for text in (target.system, request.system) if text)
    _apply_temperature(target, request)


def _apply_temperature(target: Target, request: Request) -> None:
    """Follow the entry's policy on sampling: leave it to the backend, drop it, or make room for it."""
    given = [name for name in ("temperature", "top_p") if getattr(request, name) is not None]
    if given and target.temperature == "ignore":
        for name in given:
            setattr(request, name, None)
            request.ignore(name)
    if given and target.temperature == "forward" and request.effort is None:
        request.effort = "none"  # sampling and thinking exclude each other


class _Watch:
    """Keeps one request's record while its events pass."""

    def __init__(self, request: Request, dialect: str) -> None:
        self.record = Record(
            request.model,
            dialect=dialect,
            client=request.client,
            status=CLIENT_LEFT,
            stream=request.stream,
        )
        self.ended = False
        self._began = time.monotonic()

    def see(self, event: Event) -> None:
        """Take note of one event; nothing but the first of each kind costs more than a comparison."""
        match event:
            case PartDelta() | PartStarted():
                if self.record.first_token is None:
                    self.record.first_token = time.monotonic() - self._began
            case Started():
                self.record.live, self.record.queued = event.live, event.queued
            case Usage():
                self.record.usage = event
            case Finished():
                self.record.status, self.ended = 200, True
            case Failed():
                self.fail(event.error)
            case _:
                pass

    def fail(self, error: ProxyError) -> Failed:
        """Take note of a failure and give its event."""
        self.record.status, self.record.error = error.status, error.message
        self.ended = True
        return Failed(error)

    def close(self) -> Record:
        """Return the finished record."""
        self.record.total = time.monotonic() - self._began
        return self.record
