"""The log is written by a thread: whoever logs does not wait for a terminal, a pipe or a disk."""

from __future__ import annotations

import io
import logging
import threading
import time

from claude_max_proxy.cli.log.queued import QueuedHandler
from claude_max_proxy.cli.log.text_format import TextFormatter


class Slow(logging.Handler):
    """Writes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter("then"))
        self.may = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, once it may."""
        self.may.wait(10)
        self.lines.append(self.format(record))


def record(text: str, *args: object) -> logging.LogRecord:
    """Return a record of the level INFO."""
    return logging.LogRecord("x", logging.INFO, "", 0, text, args, None)


def test_nobody_waits() -> None:
    """However many lines nobody writes, who logs them does not wait, and those that are kept have a bound."""
    slow = Slow()
    handler = QueuedHandler(slow, most=100)
    began = time.monotonic()
    for number in range(10_000):
        handler.handle(record("line %s", number))
    assert time.monotonic() - began < 2
    slow.may.set()
    handler.close()
    assert slow.lines[0] == "then INFO    line 0"
    told = [line for line in slow.lines if "dropped" in line]
    written = len(slow.lines) - len(told)
    assert written <= 102
    assert told == [
        f"then WARNING {10_000 - written} lines of the log were dropped, since it is written slowly"
    ]


def test_an_end_with_a_stuck_reader() -> None:
    """The end does not wait for ever for what cannot be written."""
    handler = QueuedHandler(slow := Slow())
    handler.handle(record("line"))
    began = time.monotonic()
    handler.flush()
    handler.close()
    assert time.monotonic() - began < 5
    slow.may.set()


def test_what_was_logged_counts() -> None:
    """A line says what was the case when it was logged, though it is written later; each one is written."""
    slow = Slow()
    handler = QueuedHandler(slow)
    changing = ["before"]
    handler.handle(record("%s", changing))
    changing.append("after")
    slow.may.set()
    handler.close()
    assert slow.lines == ["then INFO    ['before']"]


def test_flushing() -> None:
    """After a flush, everything is written; after the end, logging does no harm."""
    stream = io.StringIO()
    writer = logging.StreamHandler(stream)
    writer.setFormatter(TextFormatter("then"))
    handler = QueuedHandler(writer)
    for number in range(500):
        handler.handle(record("%d", number))
    handler.flush()
    assert len(stream.getvalue().splitlines()) == 500
    handler.close()
    handler.handle(record("late"))
    handler.flush()
    handler.close()


def test_a_bad_record(capsys: object) -> None:
    """A record that cannot be formatted disturbs neither who logs it nor the lines after it."""
    slow = Slow()
    slow.may.set()
    handler = QueuedHandler(slow)
    handler.handle(record("%d", "no number"))
    handler.handle(record("after it"))
    handler.close()
    assert slow.lines == ["then INFO    after it"]
