"""The access log."""

from __future__ import annotations

import logging

import pytest

from claude_max_proxy import Client, Record, Usage
from claude_max_proxy.observers.access_log import line, log_request


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Record("opus", total=1.5), "200  opus  total 1500 ms"),
        (
            Record(
                "gpt-4o",
                "sonnet",
                "claude",
                client=Client("me", "curl/8", "127.0.0.1", "s-1"),
                usage=Usage(3, 4, 5, 6),
                first_token=0.25,
                total=1,
                queued=0.5,
                live=True,
            ),
            (
                "200  gpt-4o  → claude/sonnet  live  14+4 tokens  first 250 ms  total 1000 ms"
                "  queued 500 ms  client me  session s-1"
            ),
        ),
        (Record("x", status=404, error="no such model"), "404  x  total 0 ms  · no such model"),
        (Record("x", status=499), "499  x  total 0 ms"),
        (Record("x", queued=0.0001), "200  x  total 0 ms"),
    ],
)
def test_lines(record: Record, words: str) -> None:
    """A line says what is known of a request, and nothing that is not."""
    assert words == line(record)


def test_nobody_forges_a_line() -> None:
    """Whatever a client calls its model, and a provider its error, a record is one line."""
    forged = line(Record("x\n200  opus\x1b[2J", error="a\r\nb\u2028c"))
    assert forged.isprintable()
    assert len(forged.splitlines()) == 1
    assert "x\\n200" in forged


def test_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line goes to the log, with per cent signs as they are."""
    with caplog.at_level(logging.INFO, "claude_max_proxy.access"):
        log_request(Record("100%s"))
    assert caplog.messages == ["200  100%s  total 0 ms"]
