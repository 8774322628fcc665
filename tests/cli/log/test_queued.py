"""The log is written by a thread: whoever logs does not wait for a terminal, a pipe or a disk."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
import time

import pytest

from claude_max_proxy.cli.log import queued
from claude_max_proxy.cli.log.queued import QueuedHandler
from claude_max_proxy.cli.log.text_format import TextFormatter


class Slow(logging.Handler):
    """Writes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter("then"))
        self.may = threading.Event()
        self.lines: list[str] = []
        self.writes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one or more lines, once it may."""
        self.may.wait(10)
        self.lines += self.format(record).split("\n")
        self.writes += 1


class Stream(io.StringIO):
    """A stream that says when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def flush(self) -> None:
        """Note that it was written to."""
        self.written.set()


def record(text: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    """Return a record."""
    return logging.LogRecord("x", level, "", 0, text, args, None)


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


def test_an_end_with_a_stuck_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end does not wait for ever for what cannot be written."""
    monkeypatch.setattr(queued, "_PATIENCE", 0.1)
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


def test_lines_gather() -> None:
    """Lines that come one after the other are written together, in their order, and in pieces of a size."""
    slow = Slow()
    handler = QueuedHandler(slow, at_once=1000)
    for number in range(200):
        handler.handle(record("line %03d", number))
    slow.may.set()
    handler.close()
    assert slow.lines == [f"then INFO    line {number:03d}" for number in range(200)]
    at_least = 200 * len("then INFO    line 000\n") / 1000
    assert at_least <= slow.writes < 30


def test_a_line_larger_than_a_piece() -> None:
    """Whatever the size of a write is, each line is written as a whole."""
    slow = Slow()
    slow.may.set()
    handler = QueuedHandler(slow, at_once=0)
    for number in range(5):
        handler.handle(record("line %d %s", number, "x" * 50))
    handler.close()
    assert [line[:19] for line in slow.lines] == [f"then INFO    line {number}" for number in range(5)]
    assert slow.writes == 5


def test_nobody_needs_to_flush() -> None:
    """A single line is written soon, without a flush, an end or a further line."""
    writer = logging.StreamHandler(stream := Stream())
    writer.setFormatter(TextFormatter("then"))
    handler = QueuedHandler(writer)
    for number in range(3):
        stream.written.clear()
        handler.handle(record("%d", number))
        assert stream.written.wait(20)
        assert stream.getvalue().endswith(f"then INFO    {number}\n")
    handler.close()


def test_what_is_important_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning is written without waiting for further lines, with all lines before it."""
    monkeypatch.setattr(queued, "_GATHERED", 600.0)
    writer = logging.StreamHandler(stream := Stream())
    writer.setFormatter(TextFormatter("then"))
    handler = QueuedHandler(writer)
    for number in range(3):
        stream.written.clear()
        handler.handle(record("one"))
        handler.handle(record("two", level=logging.WARNING))
        assert stream.written.wait(20), number
        while stream.getvalue().count("two") <= number:  # it may be written after what was before it
            stream.written.wait(20)
    assert stream.getvalue() == "then INFO    one\nthen WARNING two\n" * 3
    handler.handle(record("three"))
    handler.flush()
    assert stream.getvalue().endswith("two\nthen INFO    three\n")
    handler.close()


END = """
import logging, os, signal, sys
from claude_max_proxy.cli.leaving import Leaving
from claude_max_proxy.cli.log.setup import set_up
from claude_max_proxy.config import ServerConfig

set_up(ServerConfig())
leaving = Leaving(lambda: None)
signal.signal(signal.SIGTERM, lambda number, _: leaving.now(number))
for number in range(1000):
    logging.info("line %d", number)
{end}
"""


@pytest.mark.parametrize(
    "end",
    ["", "sys.exit(3)", "raise RuntimeError('crashed')", "os.kill(os.getpid(), signal.SIGTERM); input()"],
)
def test_no_line_is_lost_at_the_end(end: str) -> None:
    """However the process ends, as long as Python sees it, each line is written."""
    done = subprocess.run(
        [sys.executable, "-c", END.format(end=end)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert [int(number) for number in re.findall(r"INFO +line (\d+)", done.stderr)] == list(range(1000))
