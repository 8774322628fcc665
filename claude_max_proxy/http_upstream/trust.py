"""Which certificate authorities a connection trusts: the usual ones, or the environment's, and one's own."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

from claude_max_proxy.errors import ConfigError


def check_authority(file: str, path: str) -> None:
    """Refuse a file without certificates: a :class:`ConfigError` at ``path``. An empty name is no file."""
    if not file:
        return

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(Path(file).expanduser())
    except ssl.SSLError as error:
        raise ConfigError(f"{path}: {file!r} holds no certificate in PEM form") from error
    except OSError as error:
        raise ConfigError(f"{path}: {file!r} cannot be read: {error.strerror}") from error


@cache
def trusted(file: str, *, http2: bool = False) -> ssl.SSLContext:
    """Make a client's side of TLS, once for each way; ``file`` adds authorities. It takes a while.

    One that may speak HTTP/2 offers it to the server, so it is no other's.
    """
    import httpx  # which knows SSL_CERT_FILE, and brings certificates where the system has none

    context = httpx.create_ssl_context()
    if http2:
        context.set_alpn_protocols(["h2", "http/1.1"])
    if file:
        context.load_verify_locations(Path(file).expanduser())
    return context
