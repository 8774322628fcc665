"""Formats the lines of the log as JSON, one object on each line, for programs that read it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from claude_max_proxy import request_id
from claude_max_proxy.cli.log.text_format import LONGEST


_encode = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """Writes ``time``, ``level``, ``logger``, ``message``, the ``request_id`` if there is one, and more.

    With a ``request_id``, there also is the ``replica``, the name of the proxy that serves the request.

    What a record has as ``fields``, a dict, is added to these as values; the access log uses it. A
    traceback becomes the text ``exception``. The line is ASCII, so nothing in it can end it.
    """

    def __init__(self, replica: str = "") -> None:
        """Write lines of the proxy with this name."""
        super().__init__()
        self._replica = replica

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        message = record.getMessage()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message if len(message) <= LONGEST else f"{message[:LONGEST]}…",
        }
        if name := getattr(record, "request_id", "") or request_id.current():
            line["request_id"] = name
            if self._replica:
                line["replica"] = self._replica
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return _encode({**getattr(record, "fields", {}), **line})
