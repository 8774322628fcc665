"""Who may ask: the Host and Origin headers, the body's size and type, and the API key."""

from __future__ import annotations

import hmac
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
    InvalidKey,
    UnsupportedMediaType,
)


_Connection = ASGIConnection[Any, Any, Any, Any]
_OPEN = frozenset({"/health", "/v1/health"})


class Guard:
    """Checks every request before its body is read.

    A browser's pages cannot pass: no CORS, no foreign Host.
    """

    def __init__(self, config: ServerConfig) -> None:
        """Use ``[server]``."""
        self._config = config
        self._keys = {name: key.encode() for name, key in config.api_keys.items()}

    async def __call__(self, connection: _Connection, _: BaseRouteHandler) -> None:
        """Refuse the request by raising, or note whose key it carries; async, for else it costs a thread."""
        self._check_host(connection.headers.get("host", ""))
        self._check_origin(connection.headers.get("origin"))
        self._check_body(connection)
        path = connection.scope["path"]
        connection.scope["state"]["key"] = "" if path in _OPEN else self._check_key(connection)

    def _check_host(self, host: str) -> None:
        name = _host_name(host)
        if not (_is_address(name) or name in {"localhost", self._config.host, *self._config.allowed_hosts}):
            raise Forbidden(
                f"this proxy does not serve the host {name!r}; to allow it, add it to [server] allowed_hosts"
            )

    def _check_origin(self, origin: str | None) -> None:
        if origin is not None:
            raise Forbidden(f"requests from web pages are not served (Origin: {origin[:200]})")

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

    def _check_key(self, connection: _Connection) -> str:
        if not self._keys:
            return ""

        authorization = connection.headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else connection.headers.get("x-api-key", "")
        matches = [name for name, key in self._keys.items() if hmac.compare_digest(key, given.encode())]
        if not matches:
            raise InvalidKey(
                "this proxy needs one of its own API keys, as `Authorization: Bearer KEY`"
                if not given
                else "this is not an API key of this proxy"
            )
        return matches[0]


def check_reach(config: ServerConfig) -> None:
    """Refuse to be reachable from other machines without API keys."""
    if not config.api_keys and not is_loopback(config.host):
        raise ConfigError(
            f"server.host: {config.host!r} is reachable from other machines, so [server] api_keys must be "
            'set, as in api_keys = { me = "a long random text" }'
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
