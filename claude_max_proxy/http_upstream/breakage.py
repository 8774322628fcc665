"""Puts the exceptions of the HTTP libraries into words; no other module knows these exceptions by name.

What the system says about a connection (refused, reset, no such name) is passed on, because people know it.
What the libraries say is about their own internals, so it is not shown to clients.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp
import httpx


_Types = tuple[type[BaseException], ...]
# The first row that an exception matches counts, so special exceptions come before general ones.
_WORDS: tuple[tuple[_Types, str], ...] = (
    (
        (httpx.ProxyError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
        "the proxy on the way to it failed or refused",
    ),
    (
        (httpx.ConnectTimeout, httpx.PoolTimeout, aiohttp.ConnectionTimeoutError),
        "no connection was made in time",
    ),
    (
        (httpx.TimeoutException, aiohttp.ServerTimeoutError),
        "it was silent for too long",
    ),
    ((aiohttp.ServerFingerprintMismatch, aiohttp.ClientSSLError), "TLS could not be agreed on"),
    ((aiohttp.ClientConnectorError, httpx.ConnectError), "no connection could be made"),
    ((aiohttp.ServerDisconnectedError,), "it hung up without an answer"),
    (
        (aiohttp.ClientPayloadError, aiohttp.EofStream, httpx.RemoteProtocolError),
        "it hung up before the end",
    ),
    ((httpx.TooManyRedirects, aiohttp.RedirectClientError), "it redirects elsewhere"),
    (
        (httpx.UnsupportedProtocol, httpx.InvalidURL, aiohttp.InvalidURL),
        "its URL cannot be used",
    ),
    ((httpx.DecodingError,), "its answer is compressed in a way that cannot be read"),
    ((httpx.LocalProtocolError,), "the question cannot be sent as HTTP"),
    ((aiohttp.ClientResponseError,), "what it answers is not HTTP"),
    ((httpx.StreamError,), "the connection was closed here"),
    ((httpx.HTTPError, aiohttp.ClientError), "the connection broke"),
)
# Python's own exceptions, for when none of a library says more.
_PLAIN: tuple[tuple[_Types, str], ...] = (
    ((TimeoutError,), "it was silent for too long"),
    ((OSError,), "the connection broke"),
    ((RuntimeError,), "the connection was closed here"),
)
_UNKNOWN = "the exchange with it failed"


def reason(error: BaseException) -> str:
    """Return what went wrong: what the system or TLS says if that is known, otherwise our own words."""
    chain = list(_chain(error))
    known = [words for cause in chain if (words := _by_system(cause))]
    return known[-1] if known else _by_type(chain)


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__  # some libraries hide the context


def _by_system(error: BaseException) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            inner = getattr(error, "certificate_error", None)
            return _by_system(inner) if inner else ""
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            named = getattr(error, "reason", None)
            return f"TLS failed: {named.replace('_', ' ').lower()}" if named else ""
        case socket.gaierror():  # its numbers are not those of the system's errors
            return error.strerror or ""
        case OSError() if error.errno and error.strerror:
            return os.strerror(error.errno)
        case _:
            return ""


def _by_type(chain: list[BaseException]) -> str:
    """Return the words for the exception that was raised first; the others only say where it was caught."""
    for table in (_WORDS, _PLAIN):
        for error in reversed(chain):
            for types, words in table:
                if isinstance(error, types):
                    return words
    return _UNKNOWN
