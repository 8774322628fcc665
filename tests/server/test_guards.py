"""Which clients may send requests."""

from __future__ import annotations

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.server.guards import check_reach, is_loopback
from tests.server.conftest import Serve, Served
from tests.server.test_routes import CHAT, error_of


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:3456", "LOCALHOST", "127.0.0.1", "127.0.0.1:80", "[::1]:3456", "10.0.0.7"],
)
async def test_hosts_that_are_served(served: Served, host: str) -> None:
    """This machine's names and any address are served: no page can make a browser send a foreign address."""
    assert (await served.http.get("/v1/models", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3456",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ],
)
async def test_hosts_that_are_not(served: Served, host: str) -> None:
    """A name that could have been rebound to this machine is refused."""
    response = await served.http.post("/v1/chat/completions", json=CHAT, headers={"host": host})
    assert response.status_code == 403
    assert error_of(response)["code"] == "forbidden"
    assert served.backend.asked == []


async def test_a_host_that_was_allowed(serve: Serve) -> None:
    """A name that the configuration allows is served."""
    served = await serve(server={"allowed_hosts": ["proxy.lan"]})
    assert (await served.http.get("/health", headers={"host": "proxy.lan:3456"})).status_code == 200
    assert (await served.http.get("/health", headers={"host": "other.lan"})).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3456", ""])
async def test_web_pages_are_refused(served: Served, origin: str) -> None:
    """What a browser sends on behalf of a page is refused, whichever page it is."""
    response = await served.http.post("/v1/chat/completions", json=CHAT, headers={"origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers
    assert served.backend.asked == []


KEYS = {"api_keys": {"me": "secret-1", "you": "secret-2"}}


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"authorization": "Bearer secret-1"}, "me"),
        ({"authorization": "bearer  secret-2 "}, "you"),
        ({"x-api-key": "secret-2"}, "you"),
        ({"authorization": "Basic abc", "x-api-key": "secret-1"}, "me"),
    ],
)
async def test_a_key(serve: Serve, headers: dict[str, str], name: str) -> None:
    """A key is read from either header, and its name, not the key, is part of the request."""
    served = await serve(server=KEYS)
    assert (await served.http.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200
    assert served.backend.asked[0][0].client.key == name


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "needs one of its own API keys"),
        ({"authorization": "Bearer "}, "needs one"),
        ({"authorization": "Bearer secret"}, "not an API key of this proxy"),
        ({"authorization": "Bearer secret-11"}, "not an API key"),
        ({"authorization": "secret-1"}, "needs one"),
        ({"x-api-key": "me"}, "not an API key"),
        ({"authorization": "Bearer schlüssel"}, "not an API key"),
        ({"authorization": "Bearer wrong", "x-api-key": "secret-1"}, "not an API key"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/opus"])
async def test_a_wrong_key(serve: Serve, headers: dict[str, str], message: str, path: str) -> None:
    """Without a valid key the client learns only that a key is missing."""
    served = await serve(server=KEYS)
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    response = await served.http.get(path, headers=encoded)
    assert response.status_code == 401
    error = error_of(response)
    assert error["code"] == "invalid_api_key"
    assert message in error["message"]
    assert "secret" not in error["message"]


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
async def test_health_is_open(serve: Serve, path: str) -> None:
    """A monitor needs no key."""
    assert (await (await serve(server=KEYS)).http.get(path)).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_only_this_machine(host: str) -> None:
    """A loopback address needs no keys."""
    assert is_loopback(host)
    check_reach(ServerConfig(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "proxy.lan", ""])
def test_other_machines_need_keys(host: str) -> None:
    """An address that others can reach is refused without keys, and the error says what to do."""
    with pytest.raises(ConfigError, match=r"^server\.host: .*api_keys must be set"):
        check_reach(ServerConfig(host=host))
    check_reach(ServerConfig(host=host, api_keys={"me": "x"}))
