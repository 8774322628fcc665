"""The server as a process: where it listens, with which certificate, and what signals do."""

from __future__ import annotations

import datetime as dt
import ipaddress
import signal
import socket
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.listening import bind, bind_unix, tls_options, url_of
from claude_max_proxy.config import ServerConfig
from tests.cli.serving_process import ECHO, ask, serving, trusting


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
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
    """``SIGHUP`` puts the file as it is now in force, also a key in a file that nothing watches."""
    key = tmp_path / "key"
    key.write_text("first")
    async with serving(tmp_path, f'[server]\napi_keys = {{ me = "file:{key}" }}\n') as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert (await ask(url, authorization="Bearer first")).status_code == 200
        key.write_text("second")
        proxy.process.send_signal(signal.SIGHUP)
        await proxy.says("the configuration is reloaded")
        assert (await ask(url, authorization="Bearer first")).status_code == 401
        answer = await ask(url, authorization="Bearer second")
        assert answer.json()["choices"][0]["message"]["content"] == "hi"
        assert await proxy.stop() == 0


async def test_a_saved_file_is_live(tmp_path: Path) -> None:
    """A change of ``proxy.toml`` is live without a signal; a broken one is told with what is wrong."""
    async with serving(tmp_path) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        (tmp_path / "proxy.toml").write_text(ECHO + "[server]\nprot = 1\n")
        await proxy.says("the configuration stays as it was: server: unknown key 'prot'")
        (tmp_path / "proxy.toml").write_text(ECHO.replace("echo =", "reflection ="))
        await proxy.says("the configuration is reloaded")
        assert (await ask(url)).status_code == 404
        assert await proxy.stop(signal.SIGINT) == 0


async def test_on_a_unix_socket(tmp_path: Path) -> None:
    """A Unix socket serves its owner alone, needs no keys, and is gone when the proxy is."""
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
    """What a proxy that was killed left behind is in nobody's way."""
    path = tmp_path / "proxy.sock"
    bind_unix(path).close()
    assert path.is_socket()
    with bind_unix(path) as listener:
        assert listener.getsockname() == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    """A socket that somebody listens on is not taken from them."""
    path = tmp_path / "proxy.sock"
    with bind_unix(path) as first:
        first.listen()
        with pytest.raises(ConfigError, match=rf"server\.unix_socket: cannot listen on {path}: .*in use"):
            bind_unix(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


@pytest.mark.parametrize("name", ["file", "missing/proxy.sock", "x" * 200])
def test_no_place_for_a_socket(tmp_path: Path, name: str) -> None:
    """A path that cannot be a socket is told, and a file that is there stays."""
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigError, match=r"server\.unix_socket: cannot listen on"):
        bind_unix(tmp_path / name)
    assert (tmp_path / "file").read_text() == "precious"


def test_what_is_bound(tmp_path: Path) -> None:
    """A configuration names a socket or an address, and its URL is what clients write."""
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
            r"server\.tls_certificate: .* are no PEM certificate and its key",
        ),
    ],
)
def test_tls_files_that_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str, key: str, message: str
) -> None:
    """Files that are missing or do not fit are told before anything is served."""
    monkeypatch.chdir(tmp_path)
    self_signed(tmp_path)
    with pytest.raises(ConfigError, match=f"^{message}"):
        tls_options(ServerConfig(tls_certificate=certificate, tls_key=key))
