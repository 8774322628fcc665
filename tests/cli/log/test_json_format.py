"""Log lines for programs: one JSON object on each line, whatever foreign text it contains."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from claude_max_proxy.cli.log.json_format import JsonFormatter
from claude_max_proxy.config import ServerConfig
from tests.cli.log.conftest import Terminal
from tests.cli.log.test_text_format import FOREIGN


def formatted(*args: Any, **extra: Any) -> dict[str, Any]:
    """Return the line for a message, decoded."""
    record = logging.LogRecord(
        "a.logger", logging.WARNING, "", 0, "%s and %s", args, extra.pop("error", None)
    )
    for name, value in extra.items():
        setattr(record, name, value)
    line: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return line


def test_a_line() -> None:
    """A line has the time with its zone, the level, the logger and the message."""
    line = formatted("this", "that")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line == {"level": "warning", "logger": "a.logger", "message": "this and that"}


def test_fields() -> None:
    """Fields stand in the line as values, and none of them takes the place of what every line has."""
    line = formatted(1, 2, fields={"status": 404, "live": False, "level": "forged"}, request_id="a1")
    assert (line["status"], line["live"], line["level"], line["request_id"]) == (404, False, "warning", "a1")


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_foreign_text(set_up_log: Callable[[ServerConfig], Terminal], text: str) -> None:
    """Foreign text arrives as it was, in a message, a field and a traceback, and each record is one line."""
    log = set_up_log(ServerConfig(log_format="json"))
    try:
        raise ValueError(text)  # noqa: TRY301  # a traceback is what this is about
    except ValueError:
        logging.getLogger("x").exception("%s", text, extra={"fields": {"model": text}})
    logging.getLogger("x").info("after it")
    first, second = log.text.splitlines()  # which also ends lines at U+2028 and others
    assert first.isascii()
    assert first.isprintable()
    line = json.loads(first)
    assert (line["message"], line["model"]) == (text, text)
    assert text in line["exception"]
    assert json.loads(second)["message"] == "after it"


def test_the_replica() -> None:
    """Each line of a request names the proxy that serves it; other lines do not."""
    lines = [
        json.loads(JsonFormatter("one").format(logging.makeLogRecord({"request_id": name})))
        for name in ("a1", "")
    ]
    assert [(line.get("request_id"), line.get("replica")) for line in lines] == [("a1", "one"), (None, None)]


def test_a_line_has_a_length() -> None:
    """Long text that others have written is cut."""
    assert len(formatted("x" * 1_000_000, "")["message"]) < 10_000
