"""What the thread of a :class:`Sender` does with OpenTelemetry's library."""

from __future__ import annotations

import logging
import math
from typing import Any

from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from claude_max_proxy import Record
from claude_max_proxy.observers.traces.measures import Measures
from claude_max_proxy.observers.traces.spans import make_spans
from claude_max_proxy.observers.traces.target import Target


logger = logging.getLogger(__name__)
_SCOPE = "claude_max_proxy"
_TIMEOUT = 10.0  # seconds, with all further tries
_LONGEST = 300  # characters of a reason


class Sending:
    """Makes spans and measurements from records, and sends them to the collector."""

    def __init__(self, target: Target) -> None:
        """Prepare to send; this does not look for the collector yet."""
        self._target = target
        self._reasons = _Reasons()
        self._away = False
        self._made = _Made()
        resource = Resource.create(
            {
                "service.name": target.service_name,
                "service.version": target.version,
                **({"service.instance.id": target.replica} if target.replica else {}),
            }
        )
        tracers = TracerProvider(
            ParentBased(TraceIdRatioBased(target.sample)), resource, shutdown_on_exit=False
        )
        tracers.add_span_processor(self._made)
        self._tracer = tracers.get_tracer(_SCOPE, target.version)
        self._spans = trace_exporter.OTLPSpanExporter(**self._route("traces"))
        self._measurements = _MetricExporter(self._tell, **self._route("metrics"))
        self._reader = PeriodicExportingMetricReader(self._measurements, export_interval_millis=math.inf)
        meters = MeterProvider([self._reader], resource, shutdown_on_exit=False)
        self._measures = Measures(meters.get_meter(_SCOPE, target.version), target.providers)

    def send(self, records: list[Record]) -> None:
        """Send the traces of these requests, and add them to the metrics."""
        for record in records:
            self._measures.add(record)
            make_spans(self._tracer, record, self._target.providers)
        if spans := self._made.take():
            self._tell(self._spans.export(spans) is SpanExportResult.SUCCESS)

    def measure(self) -> None:
        """Send the metrics."""
        self._reader.collect()

    def give_up(self) -> None:
        """End a sending that is under way; further ones fail. This is for other threads."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._measurements.shutdown()

    def close(self) -> None:
        """Close the connections."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._reader.shutdown()
        self._reasons.close()

    def _route(self, signal: str) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in self._target.headers.items()}
        return {"endpoint": f"{self._target.endpoint}/v1/{signal}", "headers": headers, "timeout": _TIMEOUT}

    def _tell(self, succeeded: bool) -> None:
        """Say once that the collector does not take anything, and once that it does so again."""
        if not succeeded and not self._away:
            logger.warning(
                "the collector at %s does not take traces and metrics, which are lost until it does: %s",
                *(self._target.endpoint, self._reasons.last[:_LONGEST] or "no reason is known"),
            )
        elif succeeded and self._away:
            logger.info("the collector at %s takes traces and metrics again", self._target.endpoint)
        self._away = not succeeded


class _Made(SpanProcessor):
    """Keeps the spans that are made until they are taken."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span."""
        self._spans.append(span)

    def take(self) -> list[ReadableSpan]:
        """Return the spans and forget them."""
        spans, self._spans = self._spans, []
        return spans


class _MetricExporter(metric_exporter.OTLPMetricExporter):
    """An exporter that tells whether it succeeded, which its reader does not."""

    def __init__(self, tell: Any, **options: Any) -> None:
        super().__init__(**options)
        self._tell = tell

    def export(self, *arguments: Any, **options: Any) -> MetricExportResult:
        """Send metrics."""
        result = super().export(*arguments, **options)
        self._tell(result is MetricExportResult.SUCCESS)
        return result


class _Reasons(logging.Filter):
    """Keeps why a sending failed out of the log, where the library would write it each time."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self._loggers = [logging.getLogger(module.__name__) for module in (trace_exporter, metric_exporter)]
        for one in self._loggers:
            one.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Remember the reason that a record tells, and keep the record out of the log."""
        message = record.getMessage()
        if "reason:" in message or "error" in message:  # the others only say that there was one
            self.last = message
        return False

    def close(self) -> None:
        """Leave the log alone."""
        for one in self._loggers:
            one.removeFilter(self)
