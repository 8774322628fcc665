"""Checks that the CLI which the proxy runs does not send its requests to the proxy itself."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from claude_max_proxy import ConfigError
from claude_max_proxy.server.guards import is_loopback


def check_no_loop(listener: socket.socket, environment: Mapping[str, str]) -> None:
    """Raise :class:`ConfigError` if ``ANTHROPIC_BASE_URL``, which the CLI inherits, leads to ``listener``."""
    url = environment.get("ANTHROPIC_BASE_URL", "")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:  # the CLI itself reports a wrong URL
        return

    tcp = listener.family in {socket.AF_INET, socket.AF_INET6}
    if tcp and is_loopback(host) and port == listener.getsockname()[1]:
        raise ConfigError(
            f"ANTHROPIC_BASE_URL is {url!r}, which is this proxy: the Claude Code CLI behind it would ask it "
            "again. Unset it where the proxy runs, and set it for clients only"
        )
