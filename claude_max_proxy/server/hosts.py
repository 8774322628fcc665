"""Checks which host a request is for: its Host header and its target, by RFC 9110 (7.2) and RFC 3986 (3.2).

A request that does not name exactly one host is refused, even if a lenient reader could make sense of it:
such requests are made so that two readers take them for requests to two different hosts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from claude_max_proxy.errors import ConfigError, Forbidden, InvalidRequest
from claude_max_proxy.formats.quoting import shown


# The names that RFC 3986 allows, restricted to those that DNS or people use; zones of addresses are not
# allowed.
_HOST = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.?)(?::(?P<port>[0-9]*))?",
    re.ASCII,
)
_ABSOLUTE = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)", re.IGNORECASE)
_USUAL_PORTS = {"http": "80", "https": "443"}
# The key in a request's state under which the connection puts a target that is not a path.
TARGET = "target"
_LONGEST = 400
_MOST_KNOWN = 256


class Host(msgspec.Struct, frozen=True):
    """A host's name, in lower case and without a dot at its end, and its port, which may be empty."""

    name: str
    port: str = ""


class Hosts:
    """The hosts that are served: ``localhost``, all IP addresses, and configured names.

    Addresses are safe: an attack by DNS rebinding needs a name, since a page cannot make a browser send an
    address in the Host header that the page does not come from.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Also serve these names."""
        self._names = {"localhost", *(_ascii(name).lower().removesuffix(".") for name in names)}
        self._known: set[bytes] = set()

    def check_request(self, scope: Any) -> None:
        """Check a request, as :meth:`check` does."""
        given = [value for name, value in scope["headers"] if name == b"host"]
        self.check(given, scope.get("state", {}).get(TARGET, b""), version=scope["http_version"])

    def check(self, given: Sequence[bytes], target: bytes = b"", *, version: str = "1.1") -> None:
        """Check a request's Host headers, and its ``target`` if that is not a path.

        Raises :class:`InvalidRequest` if they do not name exactly one host, and :class:`Forbidden` if this
        host is not served.
        """
        if len(given) == 1 and given[0] in self._known and not target:
            return
        if not given and version == "1.0" and not target:
            return  # HTTP/1.0 did not have this header; all browsers send it

        if len(given) > 1:
            raise _invalid("the request has more than one Host header")
        if not given and version != "1.0":
            raise _invalid("the request names no host; it needs a Host header, as in 'localhost:3456'")
        hosts = [_host(one) for one in given]
        if target:
            hosts.append(_of_target(target, hosts))
        if not self._serves(hosts[-1].name):
            raise Forbidden(
                f"this proxy does not serve the host {shown(hosts[-1].name)}; "
                "to allow it, add it to [server] allowed_hosts"
            )
        if given and len(self._known) < _MOST_KNOWN:
            self._known.add(given[0])

    def _serves(self, name: str) -> bool:
        return name in self._names or _is_address(name)


def check_names(names: Iterable[str]) -> None:
    """Raise :class:`ConfigError` for a name in ``allowed_hosts`` that no request can contain."""
    for name in names:
        found = _HOST.fullmatch(_ascii(name))
        if not _is_address(name) and (found is None or found["port"] is not None):
            raise ConfigError(
                f"server.allowed_hosts: {name!r} is not a host name; list each without scheme and port, "
                'as in "proxy.lan"'
            )


def _host(given: bytes) -> Host:
    text = given.decode("latin-1")
    found = _HOST.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or (found["six"] and not _is_six(found["six"])) or int(found["port"] or 0) > 0xFFFF:
        raise _invalid(
            f"the Host {shown(text)} is not exactly one host; it must be a name or an address and perhaps a "
            "port, as in 'localhost:3456'"
        )
    return Host((found["six"] or found["name"]).lower(), found["port"] or "")


def _of_target(target: bytes, hosts: Sequence[Host]) -> Host:
    """Return the host of a target that is a URL; the Host header must name the same host."""
    found = _ABSOLUTE.match(target.decode("latin-1"))
    if found is None:
        raise _invalid("the request's target must be a path, or an http URL of this proxy")
    host, port = _host(found["authority"].encode("latin-1")), _USUAL_PORTS[found["scheme"].lower()]
    for other in hosts:
        if (other.name, other.port or port) != (host.name, host.port or port):
            raise _invalid(
                f"the request's target is on {shown(host.name)}, and its Host header says another host"
            )
    return host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False

    return True


def _is_six(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False

    return True


def _ascii(name: str) -> str:
    """Return an international name in the form in which headers contain it."""
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_host")
