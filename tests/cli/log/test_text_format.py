"""Log records: one line each, of printable characters, whatever foreign text they contain."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from claude_max_proxy.cli.log.text_format import TextFormatter, shows_colour
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.formats.quoting import plain, plain_lines
from tests.cli.log.conftest import Terminal


FOREIGN = {
    "a line's end": "opus\n12:00:00 INFO    200  forged",
    "a carriage return": "opus\r12:00:00 INFO    200  forged",
    "an escape": "\x1b[2J\x1b]0;title\x07",
    "C1": "\x9b2J",
    "a deletion": "a\x08\x7f",
    "bidi overrides": "\u202egnp\u2066x\u2069.exe",
    "separators": "a\u2028b\u2029c",
    "a lone surrogate": "\ud800",
    "nothing at all": "\x00",
}
LOGGERS = ("", "claude_max_proxy.gateway.gateway", "uvicorn.error", "aiohttp.access", "somebody.else")
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("name", LOGGERS)
def test_a_record_is_one_line(set_up_log: Callable[[ServerConfig], Terminal], name: str, text: str) -> None:
    """Foreign text ends no line, and reaches no terminal as a command, with any logger and any level."""
    log = set_up_log(ServerConfig(log_level="debug"))
    logging.getLogger(name).setLevel(logging.DEBUG)
    for level in LEVELS:
        logging.getLogger(name).log(level, "%s", text)
        logging.getLogger(name).log(level, text)
    lines = log.text.split("\n")
    assert lines.pop() == ""
    assert len(lines) == 2 * len(LEVELS)
    assert all(line.isprintable() for line in lines)
    assert "\\" in lines[0]


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_a_traceback_keeps_its_lines_alone(set_up_log: Callable[[ServerConfig], Terminal], text: str) -> None:
    """A traceback has several lines, each of them printable, and the exception's text is one of them."""
    log = set_up_log(ServerConfig())
    try:
        int(text)
        raise AssertionError
    except ValueError as error:
        error.args = (text,)
        logging.getLogger("x").exception("failed")
    first, *lines = log.text.rstrip("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    assert first.endswith("failed")
    assert lines[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in lines)  # so none of them is taken for a record


def test_frames_keep_their_lines() -> None:
    """A message that shows where a program is ends with frames, none of which can look like a record."""
    record = logging.LogRecord("x", 40, "", 0, "%s failed, at\n%s", ("x\ny", "a\n  b\x1b"), None)
    assert TextFormatter().format(record).endswith("x\\ny failed, at\n  a\n    b\\x1b")


def test_a_line_has_a_length() -> None:
    """Long text that others have written is cut."""
    record = logging.LogRecord("x", 40, "", 0, "%s", ("x" * 1_000_000,), None)
    assert len(TextFormatter().format(record)) < 10_000


@pytest.mark.parametrize("text", ["plain text", "çà 漢字 🙂", r"a\b"])
def test_what_is_printable_stays(text: str) -> None:
    """Letters of every language stay as they are."""
    assert plain(text) == text
    assert plain_lines(f"{text}\n{text}") == f"{text}\n{text}"


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),  # as no-color.org says: if it is not empty
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_where_there_are_colours(terminal: bool, environment: dict[str, str], expected: bool) -> None:
    """Only a terminal gets colours, and only if the user does not mind."""
    stream = Terminal()
    stream.colourful = terminal
    assert shows_colour(stream, environment) is expected


def test_colours() -> None:
    """What is unusual has a colour; the text of others cannot have one."""
    formatter = TextFormatter(colour=True)
    levels = {level: _format(formatter, level, "a\x1b[31mb") for level in LEVELS}
    assert [level for level, line in levels.items() if "\x1b" in line] == [10, 30, 40, 50]
    assert all(line.endswith("a\\x1b[31mb") for line in levels.values())
    assert all(line.count("\x1b[") in {0, 2} for line in levels.values())


def test_the_request() -> None:
    """A line that is logged while a request is served has the request's id, however it is written."""
    record = logging.LogRecord("x", 20, "", 0, "said", (), None)
    record.request_id = "a1\n"
    assert TextFormatter("then").format(record) == "then INFO    [a1\\n] said"


def _format(formatter: logging.Formatter, level: int, text: str) -> str:
    return formatter.format(logging.LogRecord("x", level, "", 0, "%s", (text,), None))
