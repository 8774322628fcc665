"""Which certificate authorities a connection trusts: the usual or the environment's, and configured ones."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

from claude_max_proxy.errors import ConfigError


def check_authority(file: str, path: str) -> None:
    """Raise :class:`ConfigError` unless ``file`` contains certificates.

    ``path`` is the setting's place in the configuration. An empty ``file`` means that there is none.
    """
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
    """Return a client's TLS context, which is made once for each combination of arguments.

    ``file`` contains further certificate authorities. A context for HTTP/2 offers that protocol to every
    server, so other connections cannot use it. Making a context takes a while.
    """
    import httpx  # it respects SSL_CERT_FILE, and has certificates where the system has none

    context = httpx.create_ssl_context()
    if http2:
        context.set_alpn_protocols(["h2", "http/1.1"])
    if file:
        context.load_verify_locations(Path(file).expanduser())
    return context
