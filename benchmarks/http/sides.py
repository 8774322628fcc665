"""The proxies before one OpenAI-compatible server: this one, this one with idle plugins, and LiteLLM's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.http.upstream import MODEL
from benchmarks.program import INHERITED, Program


OURS = "claude-max-proxy"
IDLE = "with ten idle plugins"
PEER = "LiteLLM"
PEER_VERSION = "1.106.2"
_ROOT = Path(__file__).resolve().parent.parent.parent
_PLUGINS = 10
_CONFIG = """\
[models]
{model} = "upstream/{model}"

[backends.upstream]
type = "openai"
base_url = "http://127.0.0.1:{port}/v1"

[backends.claude]
warm = 0
"""
# It takes part in all that happens to a request, and has nothing to say to any of it.
_PLUGIN = """\
import claude_max_proxy as proxy


@proxy.hookimpl
def map_model(request, config): ...


@proxy.hookimpl
def rewrite_request(request): ...


@proxy.hookimpl
def select_backend(request, target, backends): ...


@proxy.hookimpl
def wrap_events(request, events): ...


@proxy.hookimpl
def log_request(record): ...
"""
# As its documentation has it for production, without a database, keys, callbacks and logs.
_PEER_CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://127.0.0.1:{port}/v1
      api_key: unused
litellm_settings:
  set_verbose: false
"""
_PEER_ENVIRONMENT = {
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # neither side checks keys here
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it is fetched from the network at every start
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
}


def ours(folder: Path, upstream: int, name: str = OURS, plugins: int = 0) -> Program:
    """Give this proxy before the server at port ``upstream``, with so many plugins that do nothing."""
    home = folder / name
    (home / "plugins").mkdir(parents=True)
    (home / "proxy.toml").write_text(_CONFIG.format(model=MODEL, port=upstream))
    for number in range(plugins):
        (home / "plugins" / f"idle_{number}.py").write_text(_PLUGIN)
    command = [sys.executable, "-m", "claude_max_proxy", "serve", "--config", "proxy.toml", "--port"]
    return Program(name, command, folder, _environment(), "/v1/models")


def idle(folder: Path, upstream: int) -> Program:
    """Give this proxy with ten plugins that implement every hook of a request and do nothing in it."""
    return ours(folder, upstream, IDLE, _PLUGINS)


def peer(folder: Path, upstream: int) -> Program:
    """Give LiteLLM's proxy with one worker, installed into ``.cache/bench`` on first use."""
    home = folder / PEER
    home.mkdir()
    (home / "config.yaml").write_text(_PEER_CONFIG.format(model=MODEL, port=upstream))
    command = [_installed(), "--config", "config.yaml", "--num_workers", "1", "--host", "127.0.0.1", "--port"]
    return Program(PEER, command, folder, {**_environment(), **_PEER_ENVIRONMENT}, "/health/liveliness")


def _installed() -> str:
    place = _ROOT / ".cache" / "bench" / f"litellm-{PEER_VERSION}"
    done = place / "installed"
    if not done.exists():
        print(
            f"installing litellm[proxy]=={PEER_VERSION} into {place.relative_to(_ROOT)} (about 750 MB)",
            flush=True,
        )
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        install = [str(place / "bin" / "pip"), "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*install, f"litellm[proxy]=={PEER_VERSION}"], check=True)
        done.touch()
    return str(place / "bin" / "litellm")


def _environment() -> dict[str, str]:
    return {key: os.environ[key] for key in INHERITED if key in os.environ}
