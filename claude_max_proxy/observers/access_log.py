"""One line per finished request, on the log. Never a word of what was said."""

from __future__ import annotations

import logging

from claude_max_proxy import Record, hookimpl


logger = logging.getLogger("claude_max_proxy.access")


@hookimpl
def log_request(record: Record) -> None:
    """Write the line."""
    logger.info("%s", line(record))


def line(record: Record) -> str:
    """Write one record as a person reads it: status, names, tokens, times."""
    usage = record.usage
    words = [
        str(record.status),
        _plain(record.model),
        f"→ {record.backend}/{record.upstream_model}" if record.backend else "",
        "live" if record.live else "",
        f"{usage.prompt_tokens}+{usage.output_tokens} tokens" if usage else "",
        f"first {record.first_token * 1000:.0f} ms" if record.first_token is not None else "",
        f"total {record.total * 1000:.0f} ms",
        f"queued {record.queued * 1000:.0f} ms" if record.queued >= 0.001 else "",
        f"client {record.client.key}" if record.client.key else "",
        f"session {_plain(record.client.session)}" if record.client.session else "",
        f"· {_plain(record.error)}" if record.error else "",
    ]
    return "  ".join(word for word in words if word)


def _plain(text: str) -> str:
    """What others wrote, as one line of printable characters: nobody can forge a line of the log."""
    return text if text.isprintable() else repr(text)[1:-1]
