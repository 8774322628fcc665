"""Where the server listens: an address and port, or a Unix socket; and with which certificate."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Any

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ServerConfig


_OWNER_ALONE = 0o177
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what it means to a client


def bind(config: ServerConfig) -> socket.socket:
    """Bind what ``[server]`` names; raise :class:`ConfigError` that says what is in the way."""
    return bind_unix(Path(config.unix_socket)) if config.unix_socket else bind_tcp(config.host, config.port)


def bind_tcp(host: str, port: int) -> socket.socket:
    """Bind a TCP address; port 0 is any that is free."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "is another proxy running? choose another with --port"
        ) from error
    listener.set_inheritable(False)
    return listener


def bind_unix(path: Path) -> socket.socket:
    """Bind a Unix socket for its owner alone; one that a dead proxy left behind is replaced."""
    path = path.expanduser()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_dead_socket(path):
            path.unlink()
        before = os.umask(_OWNER_ALONE)  # not chmod, which would come a moment too late
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"server.unix_socket: cannot listen on {path}: {error.strerror or error}"
        ) from error
    listener.set_inheritable(False)
    return listener


def url_of(listener: socket.socket, config: ServerConfig) -> str:
    """Return the base URL of a bound listener, as clients write it."""
    if config.unix_socket:
        return "http://localhost"

    host, port = listener.getsockname()[:2]
    scheme = "https" if config.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def local_url(config: ServerConfig) -> str:
    """Return the URL, without ``/v1``, at which a client on this machine reaches what ``[server]`` says.

    Raises :class:`ConfigError` for a Unix socket, which has none, and for a port that is another each time.
    """
    if config.unix_socket:
        raise ConfigError("server.unix_socket: a Unix socket has no URL; set host and port in its place")
    if not config.port:
        raise ConfigError("server.port: is 0, which is another port at each start; set one that stays")
    host = _EVERYWHERE.get(config.host, config.host)
    scheme = "https" if config.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.port}"


def tls_options(config: ServerConfig) -> dict[str, Any]:
    """Return uvicorn's options for TLS; raise :class:`ConfigError` for files that cannot serve it."""
    if not (config.tls_certificate or config.tls_key):
        return {}

    for name in ("tls_certificate", "tls_key"):
        if not getattr(config, name):
            raise ConfigError(f"server.{name}: is not set; TLS needs a certificate and its key")
        if not Path(getattr(config, name)).expanduser().is_file():
            raise ConfigError(f"server.{name}: there is no file {getattr(config, name)!r}")
    certificate = Path(config.tls_certificate).expanduser()
    key = Path(config.tls_key).expanduser()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise ConfigError(
            f"server.tls_certificate: {certificate} and {key} are no PEM certificate and its key: {error}"
        ) from error
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}


def _is_dead_socket(path: Path) -> bool:
    if not path.is_socket():
        return False

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # somebody else's, or too busy to answer
            return False
    return False
