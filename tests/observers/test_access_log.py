"""The access log."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest

from claude_max_proxy import Client, Record, Usage
from claude_max_proxy.observers.access_log import fields, level_of, line, log_request
from claude_max_proxy.record import Ending


ANSWERED = Record(
    "gpt-4o",
    "sonnet",
    "claude",
    "openai-chat",
    Client("me", "curl/8", "127.0.0.1", "s-1"),
    usage=Usage(3, 4, 5, 6),
    first_token=0.25,
    total=1,
    queued=0.5,
    live=True,
    id="a1",
    ending="completed",
    finish="stop",
    path="/v1/chat/completions",
)


EVERYTHING = msgspec.structs.replace(
    ANSWERED,
    answered_by="m",
    error="e",
    code="c",
    replayed="r",
    last_token=0.5,
    traceparent="t",
    replica="one",
)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Record("opus", total=1.5), "200  opus  total 1500 ms"),
        (
            ANSWERED,
            (
                "200  openai-chat  gpt-4o  → claude/sonnet  live  14+4 tokens  first 250 ms  total 1000 ms"
                "  queued 500 ms  key me  program curl/8  session s-1"
            ),
        ),
        (
            Record("x", status=404, error="no such model", ending="refused"),
            "404  x  total 0 ms  · refused: no such model",
        ),
        (Record("x", status=499, ending="left"), "499  x  total 0 ms  · client left"),
        (Record("", status=404, path="/wp-login"), "404  /wp-login  total 0 ms"),
        (Record("x", replayed="model"), "200  x  replayed (model)  total 0 ms"),
        (Record("x", status=502, ending="broken", error="cut"), "502  x  total 0 ms  · broken off: cut"),
        (Record("x", queued=0.0001), "200  x  total 0 ms"),
    ],
)
def test_lines(record: Record, words: str) -> None:
    """A line contains what is known about a request and how it ended, and nothing that is not."""
    assert words == line(record)


@pytest.mark.parametrize(
    ("status", "ending", "level"),
    [
        (200, "completed", "INFO"),
        (499, "left", "INFO"),
        (400, "refused", "INFO"),
        (404, "refused", "INFO"),
        (413, "refused", "INFO"),
        (401, "refused", "WARNING"),
        (403, "refused", "WARNING"),
        (429, "refused", "WARNING"),
        (400, "broken", "WARNING"),
        (500, "refused", "WARNING"),
        (504, "refused", "WARNING"),
    ],
)
def test_levels(status: int, ending: Ending, level: str) -> None:
    """A warning is what whoever runs the proxy may have to look at, and not what only a client can change."""
    assert logging.getLevelName(level_of(Record("x", status=status, ending=ending))) == level


def test_fields() -> None:
    """A program gets values, among them all of the record; what is not known is left out."""
    found = fields(ANSWERED)
    assert {"model": "gpt-4o", "key": "me", "cache_read_tokens": 5, "live": True}.items() <= found.items()
    own = {"client", "usage", "id"}
    missing = set(Record.__struct_fields__) - own - set(fields(EVERYTHING))
    assert not missing
    assert "identity" not in found
    assert "error" not in found
    json.dumps(found)


def test_nobody_forges_a_line() -> None:
    """Whatever a client calls its model, and a provider its error, a record is one line."""
    forged = line(Record("x\n200  opus\x1b[2J", error="a\r\nb\u2028c"))
    assert forged.isprintable()
    assert len(forged.splitlines()) == 1
    assert "x\\n200" in forged


def test_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line goes to the log, with per cent signs as they are."""
    with caplog.at_level(logging.INFO, "claude_max_proxy.access"):
        log_request(Record("100%s", id="a1"))
    assert caplog.messages == ["200  100%s  total 0 ms"]
    assert vars(caplog.records[0])["request_id"] == "a1"
