"""The log as ``serve`` sets it up, within a test."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from claude_max_proxy.cli.log.setup import set_up
from claude_max_proxy.config import ServerConfig


LOGGERS = (
    *("claude_max_proxy.gateway.gateway", "uvicorn", "uvicorn.error", "httpx", "httpcore", "aiohttp"),
    *("aiohttp.access", "asyncio", "somebody.else"),
)


class Terminal(io.StringIO):
    """What stands in for standard error; ``text`` is all that was logged so far."""

    colourful = False

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self.colourful

    @property
    def text(self) -> str:
        """What was logged so far."""
        for handler in logging.getLogger().handlers:
            handler.flush()
        return self.getvalue()


@pytest.fixture
def set_up_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ServerConfig], Terminal]]:
    """A function that sets up the log and returns what it is written to."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", *LOGGERS)}
    made: list[logging.Handler] = []

    def make(config: ServerConfig) -> Terminal:
        before = root.handlers[:]
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        set_up(config)
        made.extend(handler for handler in root.handlers if handler not in before)
        return terminal

    yield make
    for handler in made:
        handler.close()
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
