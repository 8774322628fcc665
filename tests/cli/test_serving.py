"""The server as a process: where it listens, with which certificate, and what signals do."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import re
import signal
import socket
import stat
import sys
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.sockets import SocketFile, bind, bind_unix, tls_options, url_of
from claude_max_proxy.config import ServerConfig
from tests.cli.serving_process import CHAT, ECHO, ask, serving, trusting


pytestmark = pytest.mark.slow


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


# --- a process


async def test_a_hangup_reloads(tmp_path: Path) -> None:
    """``SIGHUP`` loads the current ``proxy.toml``, and the files and variables that it refers to."""
    key = tmp_path / "key"
    key.write_text("first")
    async with serving(tmp_path, f'[server]\napi_keys = {{ me = "file:{key}" }}\n') as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert (await ask(url, key="first")).status_code == 200
        key.write_text("second")
        proxy.process.send_signal(signal.SIGHUP)
        await proxy.says("the configuration is reloaded")
        assert (await ask(url, key="first")).status_code == 401
        answer = await ask(url, key="second")
        assert answer.json()["choices"][0]["message"]["content"] == "hi"
        assert await proxy.stop() == 0


async def test_a_half_saved_file_opens_nothing(tmp_path: Path) -> None:
    """However much of the file exists for a second, emptied or deleted, no client gets in without a key."""
    toml = '[server]\napi_keys = { me = "first" }\n'
    async with serving(tmp_path, toml) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        file = tmp_path / "proxy.toml"
        whole = file.read_text()
        for half in (ECHO, ECHO + "[server]\n", whole[:-5], "", "# proxy.toml\n", None):
            before, began = len(proxy.said), time.monotonic()
            if half is None:
                file.unlink()
            else:
                file.write_text(half)
            while time.monotonic() < began + 1.2:
                asked = await ask(url), await ask(url, key="first")
                late = time.monotonic() > began + 2  # on a machine that has no time for us
                assert late or [answer.status_code for answer in asked] == [401, 200], half
            said = "opens|takes all API keys away|the configuration stays as it was"
            assert re.search(said, proxy.said[before:]), (half, proxy.said)
            async with httpx.AsyncClient() as http:
                health = (await http.get(f"{url.removesuffix('/v1')}/health")).json()
            assert ("config_problem" in health) == (half not in {ECHO, ECHO + "[server]\n"})
            file.write_text(whole)
            await proxy.says(f"(?s).{{{before}}}.*the configuration is reloaded")
        file.write_text(ECHO)  # this time the change is intended
        async with asyncio.timeout(20):
            while (await ask(url)).status_code == 401:  # noqa: ASYNC110  # a reload is no event of a client's
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("how", ["written", "replaced", "linked again"])
async def test_a_changed_secret_is_live(tmp_path: Path, how: str) -> None:
    """A key in a file is valid soon after the file changed, however it was changed; the old one is not."""
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    key = tmp_path / "key"
    if how == "linked again":
        key.symlink_to(tmp_path / "first")
    else:
        key.write_text("first")
    async with serving(tmp_path, f'[server]\napi_keys = {{ me = "file:{key}" }}\n') as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert (await ask(url, key="first")).status_code == 200
        if how == "written":
            key.write_text("second")
        elif how == "replaced":
            (tmp_path / "second").replace(key)
        else:
            (tmp_path / "new").symlink_to(tmp_path / "second")
            (tmp_path / "new").replace(key)
        await proxy.says("the configuration is reloaded")
        assert (await ask(url, key="first")).status_code == 401
        assert (await ask(url, key="second")).status_code == 200
        key.unlink()
        await proxy.says(
            r"the configuration stays as it was: \S+/proxy.toml:\d+: server.api_keys.me: .* cannot be read"
        )
        assert (await ask(url, key="second")).status_code == 200


async def test_a_saved_file_is_live(tmp_path: Path) -> None:
    """A change of ``proxy.toml`` takes effect without a signal; for a broken file the log says why."""
    async with serving(tmp_path) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        (tmp_path / "proxy.toml").write_text(ECHO + "[server]\nprot = 1\n")
        await proxy.says(r"the configuration stays as it was: \S+/proxy.toml:7: server: unknown key 'prot'")
        (tmp_path / "proxy.toml").write_text(ECHO.replace("echo =", "reflection ="))
        await proxy.says("the configuration is reloaded")
        assert (await ask(url)).status_code == 404
        assert await proxy.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("opened", ["proxy.toml", "."], ids=["file", "folder"])
async def test_a_file_that_others_can_write(tmp_path: Path, opened: str) -> None:
    """A file that others have become able to write is not read again; a new start refuses it in one line."""
    async with serving(tmp_path) as proxy:
        (tmp_path / opened).chmod(0o777)
        (tmp_path / "proxy.toml").write_text(ECHO.replace("echo =", "reflection ="))
        await proxy.says(
            "the configuration stays as it was: /.*/proxy.toml: .* is writable by others.*; run: chmod go-w /"
        )
        assert (await ask(await proxy.says(r"address\s+(\S+)"))).status_code == 200
        assert await proxy.stop() == 0
    again = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "claude_max_proxy", "serve", "--port", "0"),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(again.communicate(), 20)
    assert again.returncode == 2
    assert re.fullmatch(r".*is writable by others[^\n]*; run: chmod go-w /[^\n]*\n", said.decode())


NO_SNIFFING = {
    "health": b"GET /health HTTP/1.1\r\n",
    "openapi": b"GET /openapi.json HTTP/1.1\r\n",
    "head": b"HEAD /v1/models HTTP/1.1\r\n",
    "no route": b"GET /nothing HTTP/1.1\r\n",
    "no method": b"DELETE /v1/models HTTP/1.1\r\n",
    "a preflight": b"OPTIONS /v1/models HTTP/1.1\r\nOrigin: https://app.example\r\n"
    b"Access-Control-Request-Method: GET\r\n",
    "a page": b"GET /v1/models HTTP/1.1\r\nOrigin: https://evil.example\r\n",
    "another host": b"GET http://evil.example/ HTTP/1.1\r\n",
    "no http": b"GET / HTTP/9.9\r\nnonsense\r\n",
    "no json": b"POST /v1/messages HTTP/1.1\r\nContent-Length: 1\r\nContent-Type: application/json\r\n",
}


async def test_what_every_answer_has(tmp_path: Path) -> None:
    """Whatever its kind, an answer names the replica, and no browser mistakes it for other content."""
    toml = '[server]\nallowed_origins = ["https://app.example"]\nreplica = "One-1"\n'
    async with serving(tmp_path, toml) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        port = int(url.split(":")[2].split("/")[0])
        for name, head in NO_SNIFFING.items():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b"Host: localhost\r\nConnection: close\r\n\r\n{")
            answer = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            for header in (b"x-content-type-options: nosniff", b"x-proxy-replica: One-1"):
                assert answer.count(b"\r\n%b\r\n" % header) == 1, (name, answer)
        for body in (CHAT, {**CHAT, "stream": True}):
            async with httpx.AsyncClient() as http:
                answered = await http.post(f"{url}/chat/completions", json=body)
            assert (answered.status_code, answered.headers["x-content-type-options"]) == (200, "nosniff")
            assert answered.headers["x-proxy-replica"] == "One-1"
        await proxy.says(r"INFO +\[\w{16} One-1\] 200 ")


@pytest.mark.parametrize("trusted", [[], ["127.0.0.1"]])
async def test_who_is_believed(tmp_path: Path, trusted: list[str]) -> None:
    """A header about the client's address is believed only from a trusted proxy; loopback is not trusted."""
    async with serving(tmp_path, f"[server]\ntrusted_proxies = {trusted}\n") as proxy:
        url = await proxy.says(r"address\s+(\S+)/v1")
        async with httpx.AsyncClient() as http:
            for said, everything in (({}, True), ({"x-forwarded-for": "127.0.0.1"}, bool(trusted))):
                health = (await http.get(f"{url}/health", headers=said)).json()
                assert ("backends" in health) == everything
            health = (await http.get(f"{url}/health", headers={"x-forwarded-for": "10.0.0.7"})).json()
            assert health == {"status": "ok"}


async def test_on_a_unix_socket(tmp_path: Path) -> None:
    """A Unix socket serves only its owner, needs no keys, and is removed when the proxy ends."""
    path = tmp_path / "proxy.sock"
    async with serving(tmp_path, f'[server]\nunix_socket = "{path}"\n') as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        await proxy.says(rf"--unix-socket {path}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await ask(url, uds=path)).status_code == 200
        assert await proxy.stop() == 0
    assert not path.exists()


async def test_over_tls(tmp_path: Path) -> None:
    """With a certificate and its key the proxy speaks HTTPS, and says so."""
    certificate, key = self_signed(tmp_path)
    toml = f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    async with serving(tmp_path, toml) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert url.startswith("https://127.0.0.1:")
        assert (await ask(url, verify=trusting(certificate))).status_code == 200
        assert await proxy.stop() == 0


# --- a socket


def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    """The socket that a killed proxy has left does not prevent another proxy from starting."""
    path = tmp_path / "proxy.sock"
    bind_unix(path).close()
    assert path.is_socket()
    with bind_unix(path) as listener:
        assert listener.getsockname() == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    """A socket that another process listens on is not taken from it."""
    path = tmp_path / "proxy.sock"
    with bind_unix(path) as first:
        first.listen()
        with pytest.raises(ConfigError, match=rf"server\.unix_socket: cannot listen on {path}: .*in use"):
            bind_unix(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


@pytest.mark.parametrize("name", ["file", "missing/proxy.sock", "x" * 200])
def test_no_place_for_a_socket(tmp_path: Path, name: str) -> None:
    """A path that cannot be a socket is reported, and an existing file stays."""
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigError, match=r"server\.unix_socket: cannot listen on"):
        bind_unix(tmp_path / name)
    assert (tmp_path / "file").read_text() == "precious"


def test_what_is_bound(tmp_path: Path) -> None:
    """A configuration names a socket or an address, and its URL is the one that clients use."""
    config = ServerConfig(unix_socket=str(tmp_path / "s"))
    with bind(config) as listener:
        assert (listener.family, url_of(listener, config)) == (socket.AF_UNIX, "http://localhost")
    config = ServerConfig(port=0)
    with bind(config) as listener:
        assert url_of(listener, config) == f"http://127.0.0.1:{listener.getsockname()[1]}"


# --- a certificate


def test_no_tls() -> None:
    """Without a certificate there is no TLS."""
    assert tls_options(ServerConfig()) == {}


def test_tls_files(tmp_path: Path) -> None:
    """A certificate and its key become the server's options."""
    certificate, key = self_signed(tmp_path)
    config = ServerConfig(tls_certificate=str(certificate), tls_key=str(key))
    assert tls_options(config) == {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("certificate.pem", "", r"server\.tls_key: is not set; TLS needs a certificate and its key"),
        ("", "key.pem", r"server\.tls_certificate: is not set"),
        ("none.pem", "key.pem", r"server\.tls_certificate: there is no file 'none\.pem'"),
        (
            "certificate.pem",
            "certificate.pem",
            r"server\.tls_certificate: .* are not a PEM certificate and its key",
        ),
    ],
)
def test_tls_files_that_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str, key: str, message: str
) -> None:
    """Files that are missing or do not match are reported before any request is served."""
    monkeypatch.chdir(tmp_path)
    self_signed(tmp_path)
    with pytest.raises(ConfigError, match=f"^{message}"):
        tls_options(ServerConfig(tls_certificate=certificate, tls_key=key))


def test_a_socket_that_is_another_s(tmp_path: Path) -> None:
    """A proxy that ends removes the file that it made, and no other file that took its place."""
    path = tmp_path / "proxy.sock"
    with bind_unix(path):
        file = SocketFile(path)
        path.unlink()
        with bind_unix(path):
            file.remove()
            assert path.is_socket()
            SocketFile(path).remove()
            assert not path.exists()


def test_a_socket_that_does_not_accept_yet(tmp_path: Path) -> None:
    """A proxy that is just starting is not taken for dead."""
    path = tmp_path / "proxy.sock"
    with bind_unix(path), pytest.raises(ConfigError, match="in use"):
        bind_unix(path)
