"""Opens what the server listens on: an address and port, or a Unix socket; and its certificate."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Any

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.config.safe_files import refuse_if_readable_by_others, refuse_if_writable_by_others


BACKLOG = 1024
_OWNER_ALONE = 0o177
# The addresses at which a client on this machine reaches a server that listens on all of them.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - nothing is bound here


def bind(config: ServerConfig) -> socket.socket:
    """Return a socket that is bound to what ``[server]`` names.

    Raises :class:`ConfigError`, which says what is in the way, if that is not possible.
    """
    return bind_unix(Path(config.unix_socket)) if config.unix_socket else bind_tcp(config.host, config.port)


def bind_tcp(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to a TCP address; port 0 means any free port."""
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
    """Return a Unix socket that only its owner can use; a socket that a dead proxy has left is replaced.

    It listens at once, because otherwise it would look dead to another proxy that starts.
    """
    path = path.expanduser()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        before = os.umask(_OWNER_ALONE)  # chmod would come a moment too late
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"server.unix_socket: cannot listen on {path}: {error.strerror or error}"
        ) from error
    listener.set_inheritable(False)
    return listener


class SocketFile:
    """The file of a Unix socket, which is ours until another proxy puts a new one in its place."""

    def __init__(self, path: Path) -> None:
        """Remember the identity of the file, which has just been made."""
        self._path = path.expanduser()
        self._identity = _identity(self._path)

    def remove(self) -> None:
        """Remove the file, unless it is gone or has been replaced."""
        if self._identity is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)


def url_of(listener: socket.socket, config: ServerConfig) -> str:
    """Return the base URL of a bound listener, for clients."""
    if config.unix_socket:
        return "http://localhost"

    host, port = listener.getsockname()[:2]
    scheme = "https" if config.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def host_and_port(listener: socket.socket) -> tuple[str, int]:
    """Return the host, as a URL writes it, and the port at which this machine reaches a bound listener."""
    host, port = listener.getsockname()[:2]
    host = _EVERYWHERE.get(host, host)
    return f"[{host}]" if ":" in host else host, port


def local_url(config: ServerConfig) -> str:
    """Return the URL, without ``/v1``, at which a client on this machine reaches the configured server.

    Raises :class:`ConfigError` for a Unix socket, which has no URL, and for port 0, which differs each time.
    """
    if config.unix_socket:
        raise ConfigError("server.unix_socket: a Unix socket has no URL; set host and port instead")
    if not config.port:
        raise ConfigError("server.port: is 0, which means another port at each start; set a fixed one")
    host = _EVERYWHERE.get(config.host, config.host)
    scheme = "https" if config.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.port}"


def tls_options(config: ServerConfig) -> dict[str, Any]:
    """Return uvicorn's options for TLS. Raises :class:`ConfigError` if the files cannot be used."""
    if not (config.tls_certificate or config.tls_key):
        return {}

    for name in ("tls_certificate", "tls_key"):
        if not getattr(config, name):
            raise ConfigError(f"server.{name}: is not set; TLS needs a certificate and its key")
        if not Path(getattr(config, name)).expanduser().is_file():
            raise ConfigError(f"server.{name}: there is no file {getattr(config, name)!r}")
    certificate = Path(config.tls_certificate).expanduser()
    key = Path(config.tls_key).expanduser()
    refuse_if_writable_by_others(key, "server.tls_key")
    refuse_if_readable_by_others(key, "server.tls_key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise ConfigError(
            f"server.tls_certificate: {certificate} and {key} are not a PEM certificate and its key: {error}"
        ) from error
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}


def _remove_dead(path: Path) -> None:
    """Remove a socket on which nobody listens, unless it has been replaced meanwhile."""
    identity = _identity(path)
    if identity is not None and _is_dead_socket(path) and _identity(path) == identity:
        path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_ctime_ns  # the system soon uses an inode number again


def _is_dead_socket(path: Path) -> bool:
    if not path.is_socket():
        return False

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # it belongs to somebody else, or is too busy to answer
            return False
    return False
