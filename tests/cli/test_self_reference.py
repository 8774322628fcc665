"""The proxy's own CLI must not ask the proxy."""

from __future__ import annotations

import socket

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.self_reference import check_no_loop


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_loop(host: str) -> None:
    """An environment that makes the CLI ask the proxy itself is refused, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://{host}:{listener.getsockname()[1]}"
        with pytest.raises(ConfigError, match="Unset it where the proxy runs"):
            check_no_loop(listener, {"ANTHROPIC_BASE_URL": url})


@pytest.mark.parametrize(
    "url", ["", "https://api.anthropic.com", "http://127.0.0.1:1", "http://[", "http://x:y"]
)
def test_no_loop(url: str) -> None:
    """Any other environment is accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        check_no_loop(listener, {"ANTHROPIC_BASE_URL": url} if url else {})
