"""Makes the spans of a request from its record, after the request has ended.

The outer span is the request at the proxy, and joins the client's trace. In it is the question to the model,
and in that are its stages: the wait for the backend, the wait for the first word, and the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from claude_max_proxy import Record
from claude_max_proxy.observers.traces import names


Attributes = dict[str, AttributeValue]
_traceparents = TraceContextTextMapPropagator()
_SHORTEST = 0.001  # a shorter wait, in seconds, is none


def make_spans(tracer: Tracer, record: Record, providers: Mapping[str, str]) -> None:
    """Make the spans of a request; ``providers`` are those of the backends, by the backends' names."""
    parent = _traceparents.extract({"traceparent": record.traceparent}) if record.traceparent else Context()
    outer = tracer.start_span(
        record.path if record.dialect else "unknown route",
        parent,
        SpanKind.SERVER,
        _known(_of_request(record)),
        start_time=_at(record, 0),
    )
    if not outer.is_recording():  # the sample leaves it out
        return
    if record.backend:
        _make_question(tracer, record, set_span_in_context(outer), providers.get(record.backend, ""))
    _end(outer, record, failed=record.status >= 500 or record.ending == "broken")


def _make_question(tracer: Tracer, record: Record, within: Context, provider: str) -> None:
    operation = names.operation(record.dialect)
    question = tracer.start_span(
        f"{operation} {record.upstream_model}",
        within,
        SpanKind.CLIENT,
        _known(_of_question(record, operation, provider)),
        start_time=_at(record, 0),
    )
    inside = set_span_in_context(question)
    for name, began, ended in _stages(record):
        tracer.start_span(name, inside, start_time=_at(record, began)).end(_at(record, ended))
    _end(question, record, failed=record.status >= 400 and record.ending != "left")


def _stages(record: Record) -> Iterator[tuple[str, float, float]]:
    """Yield the stages of an answer, each with its beginning and its end in seconds after the arrival."""
    asked = min(record.queued, record.total)
    if record.queued >= _SHORTEST:
        yield "queued", 0.0, asked
    if record.first_token is None:
        yield "waiting", asked, record.total
        return
    first = max(record.first_token, asked)
    yield "first token", asked, first
    yield "answer", first, max(record.last_token or record.total, first)


def _end(span: Span, record: Record, *, failed: bool) -> None:
    if failed:
        span.set_status(Status(StatusCode.ERROR, record.error))
    span.end(_at(record, record.total))


def _at(record: Record, seconds: float) -> int:
    """Return the time this long after the request's arrival, in nanoseconds since the epoch."""
    return int((record.began + seconds) * 1e9)


def _of_request(record: Record) -> Mapping[str, AttributeValue | None]:
    return {
        names.ROUTE: record.path if record.dialect else None,
        names.STATUS: record.status,
        names.PROGRAM: record.client.program,
        names.REQUEST_ID: record.id,
        names.DIALECT: record.dialect,
        names.KEY: record.client.key,
        names.ENDING: record.ending,
        names.ERROR_TYPE: record.code,
    }


def _of_question(record: Record, operation: str, provider: str) -> Mapping[str, AttributeValue | None]:
    usage = record.usage
    return {
        names.OPERATION: operation,
        names.PROVIDER: provider,
        names.REQUEST_MODEL: record.model,
        names.RESPONSE_MODEL: record.answered_by or record.upstream_model,
        names.REQUEST_STREAM: record.stream,
        names.FINISH_REASONS: [record.finish] if record.finish else None,
        names.CONVERSATION: record.client.session,
        names.INPUT_TOKENS: usage.prompt_tokens if usage else None,
        names.OUTPUT_TOKENS: usage.output_tokens if usage else None,
        names.CACHE_READ_TOKENS: usage.cache_read_tokens if usage else None,
        names.CACHE_WRITE_TOKENS: usage.cache_write_tokens if usage else None,
        names.REASONING_TOKENS: usage.reasoning_tokens if usage else None,
        names.BACKEND: record.backend,
        names.LIVE: record.live,
        names.REPLAYED: record.replayed,
        names.ERROR_TYPE: record.code,
    }


def _known(attributes: Mapping[str, AttributeValue | None]) -> Attributes:
    return {name: value for name, value in attributes.items() if value is not None and value != ""}
