"""The checks of the proxy's surroundings: Python, the configuration, the port and the plugins."""

from __future__ import annotations

import platform
import socket
import sys
from pathlib import Path

import httpx

from claude_max_proxy import Check, ConfigError, Finding, __version__
from claude_max_proxy.cli.sockets import bind_tcp, local_url
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.runtime.runtime import Runtime


CONFIGURATION = "configuration"
_HTTP_TIMEOUT = 5.0
_PLATFORMS = ("linux", "darwin")


def surroundings(runtime: Runtime, path: Path | None, problem: str) -> list[Check]:
    """Return the checks; ``problem`` says what is wrong with the configuration at ``path``, if anything."""

    async def configuration() -> Finding:
        if problem:
            return Finding("fail", problem, "fix it and check with `claude-max-proxy config check`")
        counts = f"models: {len(runtime.config.models)}, backends: {len(runtime.backends)}"
        return Finding("ok", f"{path or 'none: the defaults'}: {counts}")

    async def port() -> Finding:
        return await _port(runtime.config.server)

    async def plugins() -> Finding:
        broken = [plugin.problem for plugin in runtime.plugins.found if plugin.problem]
        if broken:
            return Finding(
                "fail", "\n".join(broken), "fix or remove the file; `claude-max-proxy plugins` lists all"
            )
        return Finding("ok", f"{len(list(runtime.plugins))} in use")

    return [
        Check("Python", _python),
        Check(CONFIGURATION, configuration),
        Check("port", port, 3 * _HTTP_TIMEOUT, needs=(CONFIGURATION,)),
        Check("plugins", plugins, needs=(CONFIGURATION,)),
    ]


async def _python() -> Finding:
    text = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.platform(terse=True)}"
    )
    if sys.platform not in _PLATFORMS:
        return Finding("warn", text, "the proxy is tested only on Linux and macOS")
    return Finding("ok", f"{text}, claude-max-proxy {__version__}")


async def _port(server: ServerConfig) -> Finding:
    """Ask who listens on the proxy's port; if nobody does, find out whether we could."""
    if server.unix_socket:
        return _unix(server.unix_socket)
    if not server.port:
        return Finding("ok", "0: any that is free")

    url = local_url(server)
    try:
        # We only ask who listens on the port and send no key, so the certificate need not be valid.
        async with httpx.AsyncClient(verify=False, timeout=_HTTP_TIMEOUT, trust_env=False) as client:  # noqa: S501
            health = (await client.get(f"{url}/health")).json()
        if set(health) == {"status"}:  # a proxy says no more than that to other machines without a key
            return Finding("ok", f"{url}: a proxy runs there, which tells its version only with a key")
        if health["provider"] == "claude-max-proxy":
            return _ours(url, str(health["version"]))
    except httpx.ConnectError:
        return _free(server)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        pass
    return Finding(
        "fail",
        f"another program listens at {url}",
        "end it, or choose another port in [server] or with --port",
    )


def _ours(url: str, version: str) -> Finding:
    if version != __version__:
        return Finding(
            "warn", f"{url}: claude-max-proxy {version} runs, this is {__version__}", "start it again"
        )
    return Finding("ok", f"{url}: this proxy runs there, {version}")


def _free(server: ServerConfig) -> Finding:
    try:
        bind_tcp(server.host, server.port).close()
    except ConfigError as error:
        return Finding("fail", str(error).partition(";")[0], "see [server] host and port")
    return Finding("ok", f"{server.host}:{server.port} is free")


def _unix(name: str) -> Finding:
    path = Path(name).expanduser()
    if not path.exists():
        folder = path.parent
        return Finding(
            "ok" if folder.is_dir() else "fail",
            f"{path}: " + ("nobody listens yet" if folder.is_dir() else f"there is no folder {folder}"),
        )
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_HTTP_TIMEOUT)
        try:
            probe.connect(str(path))
        except OSError as error:
            return Finding(
                "warn", f"{path}: {error.strerror or error}", "a proxy that starts replaces a dead one"
            )
    return Finding("ok", f"{path}: somebody listens")
