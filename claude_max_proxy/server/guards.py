"""Checks requests by their headers: the origin, the body's size and type, and the API key.

:mod:`hosts` checks the host.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from claude_max_proxy.config import Problems, ServerConfig
from claude_max_proxy.errors import (
    BodyTooLarge,
    ConfigError,
    Forbidden,
    InvalidKey,
    UnsupportedMediaType,
)
from claude_max_proxy.server.addresses import Addresses
from claude_max_proxy.server.hosts import check_names
from claude_max_proxy.server.keys import Keys


_Connection = ASGIConnection[Any, Any, Any, Any]


class Guard:
    """Checks every request before its body is read.

    Web pages are refused, except the proxy's own and those with an origin in ``allowed_origins``.
    """

    def __init__(self, config: ServerConfig, keys: Keys, addresses: Addresses) -> None:
        """Take the settings in ``[server]``, the API keys, and what finds addresses."""
        self._config = config
        self._keys = keys
        self._addresses = addresses

    async def __call__(self, connection: _Connection, handler: BaseRouteHandler) -> None:
        """Refuse the request by raising a :class:`ProxyError`, or note who sends it.

        This is async because Litestar would call it on a thread otherwise.
        """
        ours = self._check_origin(connection)
        self._check_body(connection)
        state: Any = connection.scope["state"]
        state["address"] = self._addresses.address(connection.scope)
        state["key"] = state["identity"] = ""
        access = handler.opt.get("access", "key")
        if access == "open":
            state["confided"] = self._confides(connection)
            return

        state["browser"] = access == "admin" or ours
        state["key"] = self._keys.identify(connection.headers)
        state["identity"] = self._keys.identity(state["key"])
        if access == "admin" and not self._keys.is_admin(state["key"]):
            raise InvalidKey("this needs an API key with admin = true in [server] api_keys")

    def _confides(self, connection: _Connection) -> bool:
        """Return whether the client may see all of an open route: it has a key or is on this machine."""
        return self._addresses.is_local(connection.scope) or self._keys.holds(connection.headers)

    def _check_origin(self, connection: _Connection) -> bool:
        """Refuse the request if a web page sends it which is neither ours nor allowed.

        Ours is from the host that the request is for, which is one that we serve. Return whether it is ours.
        """
        origin = connection.headers.get("origin")
        if origin is None:
            return False
        if origin.partition("://")[2] == connection.headers.get("host"):
            return True
        if origin not in self._config.allowed_origins:
            raise Forbidden(
                f"requests from the web page {origin[:200]!r} are not served; "
                "to allow them, add it to [server] allowed_origins"
            )
        return False

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
    """Raise :class:`ConfigError` if other machines can reach the proxy without API keys.

    This also checks the hosts, the proxies and the origins in ``[server]``.
    """
    problems = Problems()
    with problems.collected():
        check_names(config.allowed_hosts)
    with problems.collected():
        Addresses(config.trusted_proxies)
    with problems.collected():
        _check_host(config)
    with problems.collected():
        _check_origins(config.allowed_origins)
    problems.tell()


def _check_host(config: ServerConfig) -> None:
    if not config.api_keys and not config.unix_socket and not is_loopback(config.host):
        raise ConfigError(
            f"server.host: {config.host!r} is reachable from other machines, so [server] api_keys must be "
            'set, as in api_keys = { me = "a long random text" }'
        )


def _check_origins(origins: list[str]) -> None:
    for origin in origins:
        if "*" in origin:
            raise ConfigError(
                f'server.allowed_origins: {origin!r} is not an origin; list each, as in "https://app.example"'
            )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
