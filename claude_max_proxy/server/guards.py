"""Who may ask: the Host and Origin headers, the body's size and type, and the API key."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from claude_max_proxy.config import ServerConfig
from claude_max_proxy.errors import (
    BodyTooLarge,
    ConfigError,
    Forbidden,
    UnsupportedMediaType,
)
from claude_max_proxy.server.keys import Keys


_Connection = ASGIConnection[Any, Any, Any, Any]
_OPEN = frozenset({"/health", "/v1/health"})


class Guard:
    """Checks every request before its body is read.

    A browser's pages cannot pass, but for those of ``allowed_origins``: no other Origin, no foreign Host.
    """

    def __init__(self, config: ServerConfig, keys: Keys) -> None:
        """Use ``[server]``."""
        self._config = config
        self._keys = keys

    async def __call__(self, connection: _Connection, _: BaseRouteHandler) -> None:
        """Refuse the request by raising, or note whose key it carries; async, for else it costs a thread."""
        self._check_host(connection)
        self._check_origin(connection.headers.get("origin"))
        self._check_body(connection)
        path = connection.scope["path"]
        connection.scope["state"]["key"] = "" if path in _OPEN else self._keys.identify(connection.headers)

    def _check_host(self, connection: _Connection) -> None:
        host = connection.headers.get("host")
        if host is None and connection.scope["http_version"] == "1.0":
            return  # which had no such header yet; every browser sends one

        name = _host_name(host or "")
        if not (_is_address(name) or name in {"localhost", self._config.host, *self._config.allowed_hosts}):
            raise Forbidden(
                f"this proxy does not serve the host {name!r}; to allow it, add it to [server] allowed_hosts"
            )

    def _check_origin(self, origin: str | None) -> None:
        if origin is not None and origin not in self._config.allowed_origins:
            raise Forbidden(
                f"requests from the web page {origin[:200]!r} are not served; "
                "to allow them, add it to [server] allowed_origins"
            )

    def _check_body(self, connection: _Connection) -> None:
        length = connection.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._config.max_body_bytes:
            raise BodyTooLarge(
                f"the body is larger than {self._config.max_body_bytes} bytes; "
                "[server] max_body_bytes sets the limit"
            )
        kind = connection.headers.get("content-type", "application/json").partition(";")[0].strip()
        if connection.scope.get("method") == "POST" and kind.lower() != "application/json":
            raise UnsupportedMediaType(f"the body must be application/json, not {kind[:100]!r}")


def check_reach(config: ServerConfig) -> None:
    """Refuse to be reachable from other machines without API keys, and from web pages that are not named."""
    if not config.api_keys and not config.unix_socket and not is_loopback(config.host):
        raise ConfigError(
            f"server.host: {config.host!r} is reachable from other machines, so [server] api_keys must be "
            'set, as in api_keys = { me = "a long random text" }'
        )
    for origin in config.allowed_origins:
        if "*" in origin:
            raise ConfigError(
                f'server.allowed_origins: {origin!r} is no origin; list each, as in "https://app.example"'
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where there is none to be found."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    """A page cannot make a browser send an address that it does not come from: only names are rebound."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False

    return True
