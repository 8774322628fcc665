"""From which address a request comes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.server.addresses import Addresses
from claude_max_proxy.server.guards import check_reach
from tests.server.conftest import Serve
from tests.server.test_routes import CHAT


SAID = "x-forwarded-for"


def scope(peer: str | None, **said: str) -> dict[str, Any]:
    """Return a request of a peer; ``None`` is a peer on a Unix socket."""
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in said.items()]
    return {"client": (peer, 5000) if peer is not None else None, "headers": headers}


ADDRESSES: dict[str, tuple[list[str], str | None, str, str]] = {
    "nobody is trusted": ([], "127.0.0.1", "203.0.113.9", "127.0.0.1"),
    "nothing is said": (["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"),
    "another is trusted": (["10.0.0.1"], "10.0.0.2", "203.0.113.9", "10.0.0.2"),
    "an address": (["127.0.0.1"], "127.0.0.1", "203.0.113.9", "203.0.113.9"),
    "a network": (["10.0.0.0/8"], "10.9.8.7", "203.0.113.9", "203.0.113.9"),
    "a network of IPv6": (["2001:db8::/32"], "2001:db8::5", "2001:db9::1", "2001:db9::1"),
    "a mapped peer": (["10.0.0.0/8"], "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
    "a forged beginning": (["10.0.0.1"], "10.0.0.1", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
    "two proxies": (["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    "proxies alone": (["10.0.0.0/8"], "10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
    "with a port": (["10.0.0.1"], "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
    "IPv6 with a port": (["10.0.0.1"], "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
    "no address": (["10.0.0.1"], "10.0.0.1", "localhost", "unknown"),
    "no address further on": (["10.0.0.0/8"], "10.0.0.1", "<script>, 10.0.0.2", "unknown"),
    "a Unix socket": (["unix"], None, "203.0.113.9", "203.0.113.9"),
    "a Unix socket that is not": (["127.0.0.1"], None, "203.0.113.9", ""),
}


@pytest.mark.parametrize(("trusted", "peer", "said", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_addresses(trusted: list[str], peer: str | None, said: str, address: str) -> None:
    """The stated addresses count from the right, as long as the proxies that state them are trusted."""
    asked = scope(peer, **({"x_forwarded_for": said} if said else {}))
    assert Addresses(trusted).address(asked) == address


def test_several_headers() -> None:
    """Several headers are read as one list."""
    asked = scope("10.0.0.1", x_forwarded_for="203.0.113.9")
    asked["headers"].append((b"x-forwarded-for", b"10.0.0.2"))
    assert Addresses(["10.0.0.0/8"]).address(asked) == "203.0.113.9"


def test_a_list_without_end() -> None:
    """Of a very long list, only the nearest part is read."""
    asked = scope("10.0.0.1", x_forwarded_for="203.0.113.9," + "10.0.0.2," * 10_000 + "10.0.0.3")
    assert Addresses(["10.0.0.0/8"]).address(asked) == "10.0.0.2"


LOCAL: dict[str, tuple[list[str], str | None, dict[str, str], bool]] = {
    "loopback": ([], "127.0.0.1", {}, True),
    "loopback of IPv6": ([], "::1", {}, True),
    "mapped loopback": ([], "::ffff:127.0.0.1", {}, True),
    "a Unix socket": ([], None, {}, True),
    "another machine": ([], "10.0.0.7", {}, False),
    "it says that it is local": ([], "10.0.0.7", {"x_forwarded_for": "127.0.0.1"}, False),
    "an unknown proxy here": ([], "127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, False),
    "an unknown proxy of another kind": ([], "127.0.0.1", {"forwarded": "for=10.0.0.7"}, False),
    "an unknown proxy that says little": ([], "127.0.0.1", {"via": "1.1 proxy"}, False),
    "a proxy for another": (["127.0.0.1"], "127.0.0.1", {"x_forwarded_for": "10.0.0.7"}, False),
    "a proxy for this machine": (["127.0.0.1"], "127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, True),
    "a proxy that says nothing of it": (["127.0.0.1"], "127.0.0.1", {"via": "1.1 proxy"}, False),
    "a proxy that says nonsense": (["127.0.0.1"], "127.0.0.1", {"x_forwarded_for": "?"}, False),
    "a trusted proxy on another machine": (["10.0.0.7"], "10.0.0.7", {}, False),
    "behind a Unix socket": (["unix"], None, {"x_forwarded_for": "10.0.0.7"}, False),
}


@pytest.mark.parametrize(("trusted", "peer", "said", "local"), LOCAL.values(), ids=LOCAL)
def test_who_is_here(trusted: list[str], peer: str | None, said: dict[str, str], local: bool) -> None:
    """A client on this machine is known by its peer address, unless that is a proxy for others."""
    assert Addresses(trusted).is_local(scope(peer, **said)) == local


@pytest.mark.parametrize(("trusted", "address"), [([], "127.0.0.1"), (["127.0.0.1"], "203.0.113.9")])
async def test_what_a_backend_hears(serve: Serve, trusted: list[str], address: str) -> None:
    """A backend, which is fair between addresses, gets the address that is believed, and no other."""
    served = await serve(server={"trusted_proxies": trusted})
    headers = {SAID: "203.0.113.9", "forwarded": "for=198.51.100.1"}
    assert (await served.http.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200
    assert served.backend.asked[0][0].client.address == address


@pytest.mark.parametrize("name", ["10.0.0.1/8", "proxy.lan", "", "*", "10.0.0.1:80"])
def test_what_cannot_be_trusted(name: str) -> None:
    """What is no address, network or Unix socket is an error of the configuration that says what to write."""
    with pytest.raises(
        ConfigError, match=r'^server\.trusted_proxies: .* is not an address, a network or "unix"'
    ):
        check_reach(ServerConfig(trusted_proxies=[name]))


# --- what /health tells whom

KEY = {"authorization": "Bearer secret"}
HEARS: dict[str, tuple[str, dict[str, str], bool]] = {
    "this machine": ("127.0.0.1", {}, True),
    "this machine with a wrong key": ("127.0.0.1", {"x-api-key": "wrong"}, True),
    "another": ("10.0.0.7", {}, False),
    "another with a wrong key": ("10.0.0.7", {"x-api-key": "wrong"}, False),
    "another with a key": ("10.0.0.7", KEY, True),
    "another that says that it is local": ("10.0.0.7", {SAID: "127.0.0.1"}, False),
    "through a proxy": ("127.0.0.1", {SAID: "10.0.0.7"}, False),
    "through a proxy with a key": ("127.0.0.1", {SAID: "10.0.0.7", **KEY}, True),
}


@pytest.mark.parametrize(("peer", "headers", "everything"), HEARS.values(), ids=HEARS)
@pytest.mark.parametrize("path", ["/health", "/v1/health"])
@pytest.mark.parametrize("status", ["ok", "unavailable"])
async def test_who_hears_what(
    serve: Serve, peer: str, headers: dict[str, str], everything: bool, path: str, status: str
) -> None:
    """A client on another machine without a key gets the status, but no details of this machine."""
    server = {"host": "0.0.0.0", "api_keys": {"me": "secret"}}
    served = await serve(server=server, backends={"claude": {"type": "scripted", "status": status}})
    transport = httpx.ASGITransport(served.application, client=(peer, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1:3456") as http:
        answer = await http.get(path, headers=headers)
    assert answer.status_code == (200 if status == "ok" else 503)
    assert answer.json()["status"] == status
    assert (set(answer.json()) > {"status", "version", "backends"}) == everything
    assert everything or set(answer.json()) == {"status"}


async def test_without_keys_through_a_proxy(serve: Serve) -> None:
    """If there are no keys, clients on other machines get only the status."""
    served = await serve()
    for headers in ({SAID: "10.0.0.7"}, {SAID: "10.0.0.7", **KEY}):
        assert (await served.http.get("/health", headers=headers)).json() == {"status": "ok"}
