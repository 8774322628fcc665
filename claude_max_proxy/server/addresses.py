"""Finds the address that a request comes from: the peer's, or the one that a trusted proxy states.

Anybody can write ``X-Forwarded-For``, so we only believe it from ``[server] trusted_proxies``: we read it
from the right, up to the first address that is not one of these. Headers such as ``Forwarded`` are not used:
a proxy that writes ``X-Forwarded-For`` passes on the others as the client wrote them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from claude_max_proxy.errors import ConfigError


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_UNIX = "unix"
_UNKNOWN = "unknown"  # stands for what a trusted proxy states if that is no address
_SAID = b"x-forwarded-for"
# A proxy that passes a request on adds one of these headers.
_SIGNS = frozenset({_SAID, b"forwarded", b"via", b"x-real-ip", b"x-forwarded-host", b"cf-connecting-ip"})
_MOST_HOPS = 32


class Addresses:
    """Finds clients' addresses."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Trust these proxies: addresses, networks, and ``unix`` for all that come through a Unix socket.

        Raises :class:`ConfigError` for anything else.
        """
        names = set(trusted)
        self._unix = _UNIX in names
        self._networks = [_network(name) for name in sorted(names - {_UNIX})]

    def address(self, scope: Any) -> str:
        """Return the client's address; it is empty for peers of a Unix socket, which have none."""
        peer = scope["client"]
        host: str = peer[0] if peer else ""
        return self._passed_on(host, scope["headers"]) if self._unix or self._networks else host

    def is_local(self, scope: Any) -> bool:
        """Return whether the client is on this machine.

        If a proxy that is not trusted has passed its request on, we do not know, and return false.
        """
        address = self.address(scope)
        if address and not _is_loopback(address):
            return False

        peer = scope["client"]
        signs = {name for name, _ in scope["headers"]} & _SIGNS
        return not signs or (_SAID in signs and self._trusts(peer[0] if peer else ""))

    def _passed_on(self, host: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the first address that is not trusted, on the way from the peer to the client."""
        said = b",".join(value for name, value in headers if name == _SAID).decode("latin-1")
        for hop in _hops(said) if said else ():
            if not self._trusts(host):
                break
            host = str(_parsed(hop) or _UNKNOWN)
        return host

    def _trusts(self, host: str) -> bool:
        found = _parsed(host)
        if found is None:
            return self._unix and not host
        return any(found in network for network in self._networks)


def _hops(said: str) -> Iterator[str]:
    """Return the addresses in the header, the nearest first."""
    pieces = said.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]
    return (piece.strip() for piece in reversed(pieces))


def _parsed(text: str) -> Address | None:
    """Return an address, which some proxies write with a port, or ``None`` if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None

    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _is_loopback(address: str) -> bool:
    found = _parsed(address)
    return found is not None and found.is_loopback


def _network(name: str) -> Network:
    try:
        return ipaddress.ip_network(name)
    except ValueError as error:
        raise ConfigError(
            f'server.trusted_proxies: {name!r} is not an address, a network or "unix": {error}; '
            'list each, as in "10.0.0.7" or "10.0.0.0/8"'
        ) from error
