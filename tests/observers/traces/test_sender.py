"""Traces and metrics, sent to a collector that decodes them."""

from __future__ import annotations

import logging
import socket
import statistics
import threading
import time

import pytest

from claude_max_proxy import Client, Record, Usage
from claude_max_proxy.observers.traces import sender as sender_module
from claude_max_proxy.observers.traces.sender import Sender
from claude_max_proxy.observers.traces.target import Target
from tests.observers.traces.collector import Collector, attributes, collecting


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ANSWERED = Record(
    "gpt",
    "opus",
    "claude",
    "openai-chat",
    Client("me", "curl/8", "127.0.0.1", "s-1"),
    usage=Usage(10, 5, 100, 20, 3),
    queued=0.25,
    first_token=0.5,
    last_token=0.9,
    total=1.0,
    live=True,
    ending="completed",
    finish="stop",
    id="a1",
    path="/v1/chat/completions",
    began=1_700_000_000.0,
)


@pytest.fixture(autouse=True)
def _sent_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collect records for a moment only."""
    monkeypatch.setattr(sender_module, "_PAUSE", 0.05)


def target(url: str, **changes: object) -> Target:
    """Return what a sender sends to a collector at ``url``."""
    facts = {
        "endpoint": url,
        "headers": {"X-Token": "a-secret"},
        "service_name": "a-proxy",
        "replica": "one",
        "version": "1",
        "sample": 1.0,
        "providers": {"claude": "anthropic"},
        **changes,
    }
    return Target(**facts)  # type: ignore[arg-type]  # as they are above


def sent(*records: Record, **changes: object) -> Collector:
    """Send these records, and return what has come."""
    with collecting() as collector:
        sender = Sender(target(collector.url, **changes))
        for record in records:
            sender.add(record)
        sender.stop()
        assert not sender._thread.is_alive()
    return collector


def test_the_spans_of_an_answer() -> None:
    """A request is a span, with the question to the model in it, and the stages in that, at their times."""
    found = sent(ANSWERED)
    spans = {span.name: span for span in found.spans}
    assert list(spans) == ["queued", "first token", "answer", "chat opus", "/v1/chat/completions"]
    outer, question = spans["/v1/chat/completions"], spans["chat opus"]
    assert outer.parent_span_id == b""
    assert question.parent_span_id == outer.span_id
    assert len({span.trace_id for span in found.spans}) == 1
    times = {
        name: ((span.start_time_unix_nano / 1e9) % 1000, (span.end_time_unix_nano / 1e9) % 1000)
        for name, span in spans.items()
    }
    assert times == {
        "queued": pytest.approx((0, 0.25), abs=1e-3),
        "first token": pytest.approx((0.25, 0.5), abs=1e-3),
        "answer": pytest.approx((0.5, 0.9), abs=1e-3),
        "chat opus": pytest.approx((0, 1), abs=1e-3),
        "/v1/chat/completions": pytest.approx((0, 1), abs=1e-3),
    }
    for stage in ("queued", "first token", "answer"):
        assert spans[stage].parent_span_id == question.span_id


def test_attributes() -> None:
    """The spans have the attributes of OpenTelemetry's conventions; input tokens include the cache's."""
    found = sent(ANSWERED)
    spans = {span.name: span for span in found.spans}
    assert attributes(spans["chat opus"].attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "opus",
        "gen_ai.request.stream": False,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.conversation.id": "s-1",
        "gen_ai.usage.input_tokens": 130,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "claude_max_proxy.backend": "claude",
        "claude_max_proxy.live": True,
    }
    assert attributes(spans["/v1/chat/completions"].attributes) == {
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "user_agent.original": "curl/8",
        "claude_max_proxy.request.id": "a1",
        "claude_max_proxy.dialect": "openai-chat",
        "claude_max_proxy.key": "me",
        "claude_max_proxy.ending": "completed",
    }
    assert all(
        {"service.name": "a-proxy", "service.version": "1", "service.instance.id": "one"}.items()
        <= one.items()
        for one in found.resources
    )
    assert {headers["x-token"] for _, headers in found.requests} == {"a-secret"}


def test_metrics() -> None:
    """The metrics have the conventions' names, units and labels."""
    found = sent(ANSWERED, ANSWERED)
    assert {name: one.unit for name, one in found.metrics.items()} == {
        "gen_ai.client.token.usage": "{token}",
        "gen_ai.server.request.duration": "s",
        "gen_ai.server.time_to_first_token": "s",
        "gen_ai.server.time_per_output_token": "s",
    }
    points = found.metrics["gen_ai.client.token.usage"].histogram.data_points
    tokens = {attributes(point.attributes)["gen_ai.token.type"]: point for point in points}
    assert (tokens["input"].sum, tokens["output"].sum, tokens["input"].count) == (260, 10, 2)
    per_token = found.metrics["gen_ai.server.time_per_output_token"].histogram.data_points[0]
    assert per_token.sum == pytest.approx(0.2)
    assert attributes(per_token.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "opus",
    }


@pytest.mark.parametrize(
    ("record", "names", "failed"),
    [
        (Record("", status=404, ending="refused", code="route_not_found"), ["unknown route"], []),
        (
            Record("x", status=400, ending="refused", dialect="d", path="/v1/x", code="c"),
            ["/v1/x"],
            [],
        ),
        (
            Record("x", "m", "b", "openai-completions", status=503, ending="refused", path="/p", code="c"),
            ["waiting", "text_completion m", "/p"],
            ["text_completion m", "/p"],
        ),
        (
            Record("x", "m", "b", "d-count", status=400, ending="refused", path="/p", code="c"),
            ["waiting", "count_tokens m", "/p"],
            ["count_tokens m"],
        ),
        (
            Record("x", "m", "b", "d", status=499, ending="left", path="/p", first_token=0.1, total=1.0),
            ["first token", "answer", "chat m", "/p"],
            [],
        ),
    ],
)
def test_whatever_happened(record: Record, names: list[str], failed: list[str]) -> None:
    """Every request has a span, whatever its record lacks; those are failed whose side is at fault."""
    spans = sent(record).spans
    assert [span.name for span in spans] == names
    assert [span.name for span in spans if span.status.code == 2] == failed
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert {attributes(span.attributes).get("error.type") for span in spans if span.status.code == 2} <= {"c"}


@pytest.mark.parametrize(("flags", "sample", "expected"), [("01", 0.0, 5), ("00", 1.0, 0), ("", 0.0, 0)])
def test_the_clients_trace(flags: str, sample: float, expected: int) -> None:
    """A client's trace goes on here, and is traced if the client traces it; the sample is for the others."""
    traceparent = f"00-{TRACE}-{PARENT}-{flags}" if flags else ""
    record = Record(**{name: getattr(ANSWERED, name) for name in Record.__struct_fields__})
    record.traceparent = traceparent
    found = sent(record, sample=sample)
    assert len(found.spans) == expected
    if expected:
        assert {span.trace_id.hex() for span in found.spans} == {TRACE}
        assert found.spans[-1].parent_span_id.hex() == PARENT


def test_a_sample() -> None:
    """About the share of requests that is configured is traced."""
    found = sent(*[ANSWERED] * 400, sample=0.25)
    assert 50 < len([span for span in found.spans if span.parent_span_id == b""]) < 150


def test_a_collector_that_is_away(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a collector nothing waits and everything ends; that is said once, without a secret."""
    monkeypatch.setattr(sender_module, "_PATIENCE", 0.5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        sender = Sender(target(url))
        took = []
        with caplog.at_level(logging.INFO):
            for _ in range(10_000):
                began = time.perf_counter()
                sender.add(ANSWERED)
                took.append(time.perf_counter() - began)
            Collector().until(lambda: sender._sending and sender._sending._reasons.last)
            sender.stop()
    assert statistics.median(took) < 0.01  # a single one may have to wait for the processor
    assert sender.lost > 0
    sender._thread.join(10)
    assert not sender._thread.is_alive()
    told = [record.getMessage() for record in caplog.records if "traces" in record.getMessage()]
    assert len(told) == 1
    assert f"the collector at {url} does not take traces and metrics" in told[0]
    assert "Connection refused" in told[0]
    assert "a-secret" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


def test_a_collector_that_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """A collector that refuses is told with its reason, and so is that it takes again."""
    with collecting(401) as collector, caplog.at_level(logging.INFO):
        sender = Sender(target(collector.url))
        sender.add(ANSWERED)
        collector.until(lambda: "does not take" in caplog.text)
        collector.status = 200
        sender.add(ANSWERED)
        collector.until(lambda: "again" in caplog.text)
        sender.stop()
    assert "401" in caplog.text
    assert len(collector.spans) == 5


def test_no_thread_is_left() -> None:
    """Sending leaves no thread behind."""
    before = set(threading.enumerate())
    sent(ANSWERED)
    assert not [thread for thread in set(threading.enumerate()) - before if "traces" in thread.name]
