"""For which host a request is, in every spelling."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.errors import ClientError, Forbidden, InvalidRequest
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.server.hosts import Hosts
from tests.server.conftest import Serve
from tests.server.raw_client import Listening, listening


ALLOWED = ["proxy.lan", "Bücher.example", "dotted.example.", "my_box"]
SERVED = [
    "localhost",
    "localhost:3456",
    "LOCALHOST:3456",
    "localhost.",
    "localhost.:3456",
    "localhost:",
    "localhost:65535",
    "127.0.0.1",
    "127.0.0.1:80",
    "10.0.0.7",
    "0.0.0.0:3456",
    "[::1]",
    "[::1]:3456",
    "[2001:DB8::1]:1",
    "[::ffff:127.0.0.1]",
    "proxy.lan",
    "PROXY.lan:3456",
    "proxy.lan.",
    "xn--bcher-kva.example",
    "XN--BCHER-KVA.example.:80",
    "dotted.example",
    "my_box:3456",
]
OTHERS = [
    "evil.example",
    "evil.example:3456",
    "evil.example.",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "proxy.lan.evil.example",
    "evilproxy.lan",
    "localhost-",
    # how C libraries write 127.0.0.1, and browsers do not
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.000.000.001",
    "127.1",
    "256.0.0.1",
    "1.2.3.4.5",
    "xn--nxasmq6b.example",
]
NO_HOSTS = [
    "",
    ":",
    ":3456",
    ".",
    "..",
    "[",
    "[]",
    "[]:80",
    "[::1",
    "::1",
    "[::1].evil.example",
    "[::1]evil.example",
    "[::1]:80:80",
    "[::1%25lo]",
    "[::1%lo]",
    "[127.0.0.1]",
    "[localhost]",
    "[v1.x]",
    "[::1]]",
    "[[::1]]",
    "a@b:c:d",
    "localhost@evil.example",
    "evil.example@localhost",
    "user:password@localhost",
    "@localhost",
    "localhost@",
    "localhost:65536",
    "localhost:-1",
    "localhost:+80",
    "localhost:8 0",
    "localhost:80:80",
    "localhost:http",
    "localhost:99999999999999999999999999",
    "localhost..",
    ".localhost",
    "a..localhost",
    "localhost,evil.example",
    "localhost, evil.example",
    "evil.example,localhost",
    "localhost;evil.example",
    "localhost evil.example",
    "localhost\tevil.example",
    "localhost/evil",
    "localhost\\evil",
    "localhost?evil",
    "localhost#evil",
    "http://localhost",
    "//localhost",
    "%6cocalhost",
    "localhost%00",
    "local%2ehost",
    "*",
    "bücher.example",
    "localhos\u00b2",
    "localhost:\u00b2",
    "'localhost'",
    '"localhost"',
    "a" * 500,
]


def spelled(*tables: list[str]) -> pytest.MarkDecorator:
    """Return every host of these tables, with a name that shows it."""
    hosts = [host for table in tables for host in table]
    return pytest.mark.parametrize("host", hosts, ids=[repr(host)[:60] for host in hosts])


@pytest.fixture
async def place(serve: Serve) -> AsyncIterator[Listening]:
    """A proxy that serves some names, on a socket."""
    served = await serve(server={"allowed_hosts": ALLOWED})
    async with listening(served.application) as place:
        yield place


async def status(place: Listening, target: str, *headers: str, version: str = "1.1") -> tuple[int, bytes]:
    """Send a request with exactly these lines."""
    client = await place.client()
    client.say("\r\n".join([f"GET {target} HTTP/{version}", *headers, "", ""]).encode("latin-1"))
    heard = await client.hear()
    return heard.status, heard.body


@spelled(SERVED)
def test_hosts_that_are_served(host: str) -> None:
    """This machine's names, all addresses and the allowed names are served, in any spelling."""
    hosts = Hosts(ALLOWED)
    for _ in range(2):
        hosts.check([host.encode()])


@spelled(OTHERS)
def test_hosts_of_others(host: str) -> None:
    """A foreign host is refused with what to do, also when it is seen again."""
    hosts = Hosts(ALLOWED)
    for _ in range(2):
        with pytest.raises(Forbidden, match=r"add it to \[server\] allowed_hosts"):
            hosts.check([host.encode()])


@spelled(NO_HOSTS)
def test_what_is_no_host(host: str) -> None:
    """Anything that is not exactly one host is refused."""
    hosts = Hosts([*ALLOWED, host])
    for given in (host.encode("latin-1"), host.encode()):
        with pytest.raises(InvalidRequest) as raised:
            hosts.check([given])
        assert raised.value.code == "invalid_host"


@pytest.mark.parametrize(
    ("hosts", "code", "words"),
    [(SERVED, 200, b""), (OTHERS, 403, b'"forbidden"'), (NO_HOSTS, 400, b'"invalid_host"')],
    ids=["served", "others", "no hosts"],
)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/nothing/here"])
async def test_on_the_wire(place: Listening, hosts: list[str], code: int, words: bytes, path: str) -> None:
    """This holds on every path that the parser accepts, also where there is no route."""
    code = 404 if code == 200 and "nothing" in path else code
    for host in hosts:
        heard = await status(place, path, f"Host: {host}")
        assert (heard[0], words in heard[1]) == (code, True), (host, heard)


async def test_a_head(place: Listening) -> None:
    """A refusal has no body if the answer would have none."""
    client = await place.client()
    client.say(
        b"HEAD /health HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    assert (await client.hear(head=True)).status == 403
    assert (await client.hear()).status == 200


async def test_the_dialects_envelope(place: Listening) -> None:
    """A refusal is written in the form of the route's API."""
    _, body = await status(place, "/v1/messages", "Host: evil.example")
    assert body.startswith(b'{"type":"error"')


@pytest.mark.parametrize("other", ["evil.example", "localhost", "LOCALHOST:3456", ""])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_two_hosts(place: Listening, other: str, version: str) -> None:
    """Two Host headers are refused in either order, even if they are equal."""
    for lines in (("Host: localhost", f"host: {other}"), (f"HOST: {other}", "Host: localhost")):
        code, body = await status(place, "/v1/models", *lines, version=version)
        assert (code, b"more than one Host header" in body) == (400, True)


async def test_without_a_host(place: Listening) -> None:
    """A request must name its host; HTTP/1.0 did not have that header yet."""
    assert (await status(place, "/v1/models"))[0] == 400
    assert (await status(place, "/v1/models", version="1.0"))[0] == 200


ABSOLUTE = {
    "the same": ("http://localhost/v1/models", "localhost", 200),
    "with ports": ("http://localhost:3456/v1/models", "localhost:3456", 200),
    "in capitals": ("HTTP://LOCALHOST:3456/v1/models", "localhost:3456", 200),
    "over TLS": ("https://localhost/v1/models", "localhost", 200),
    "the usual port": ("http://localhost/v1/models", "localhost:80", 200),
    "an address": ("http://[::1]:3456/v1/models", "[::1]:3456", 200),
    "a name of ours": ("http://proxy.lan/v1/models?x=http://evil.example/", "proxy.lan", 200),
    "no path": ("http://localhost", "localhost", 200),
    "another host": ("http://evil.example/v1/models", "localhost", 400),
    "another host header": ("http://localhost/v1/models", "evil.example", 400),
    "another port": ("http://localhost:1/v1/models", "localhost:2", 400),
    "both others": ("http://evil.example/v1/models", "evil.example", 403),
    "a user": ("http://user@localhost/v1/models", "localhost", 400),
    "a user that is a host": ("http://localhost@evil.example/v1/models", "localhost", 400),
    "another scheme": ("ftp://localhost/v1/models", "localhost", 400),
    "no host": ("http:///v1/models", "localhost", 400),
    "half an address": ("http://[::1].evil.example/v1/models", "localhost", 400),
    "a list": ("http://localhost,evil.example/v1/models", "localhost", 400),
}


@pytest.mark.parametrize(("target", "host", "code"), ABSOLUTE.values(), ids=ABSOLUTE)
async def test_absolute_targets(place: Listening, target: str, host: str, code: int) -> None:
    """A target that is a whole URL must name a host of ours, the same as in the Host header."""
    assert (await status(place, target, f"Host: {host}"))[0] == code


async def test_an_absolute_target_of_old(place: Listening) -> None:
    """If no Host header is needed, the target's host counts."""
    assert (await status(place, "http://localhost/v1/models", version="1.0"))[0] == 200
    assert (await status(place, "http://evil.example/v1/models", version="1.0"))[0] == 403


def test_what_is_remembered_is_bounded() -> None:
    """However many spellings arrive, only a few are remembered, and refused ones never."""
    hosts = Hosts([])
    for port in range(1000):
        hosts.check([b"localhost:%d" % port])
        with pytest.raises(ClientError):
            hosts.check([b"evil.example:%d" % port])
    assert len(hosts._known) <= 256
    assert all(one.startswith(b"localhost") for one in hosts._known)


@pytest.mark.parametrize(
    "name", ["proxy.lan:3456", "http://proxy.lan", "*.lan", "*", "", "a b", "[::1]:80", "proxy..lan"]
)
def test_names_that_cannot_be_allowed(name: str) -> None:
    """A name that no Host header can have is an error of the configuration that says what to write."""
    with pytest.raises(
        ConfigError, match=r"^server\.allowed_hosts: .* is not a host name; list each without"
    ):
        check_reach(ServerConfig(allowed_hosts=[name]))


@pytest.mark.parametrize("name", [*ALLOWED, "::1", "[::1]", "10.0.0.7", "LAN"])
def test_names_that_can_be_allowed(name: str) -> None:
    """Names, international ones too, and addresses can be allowed."""
    check_reach(ServerConfig(allowed_hosts=[name]))
