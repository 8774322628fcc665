"""The proxies for an OpenAI-compatible server: this one, this one with idle plugins, and LiteLLM's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.http.upstream import MODEL
from benchmarks.program import INHERITED, Program
from claude_max_proxy.plugin.plugins import BUILT_INS


OURS = "claude-max-proxy"
IDLE = "with ten idle plugins"
SEEN, UNSEEN = "all observers", "no observers"
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
BUDGET = """
[plugins.budgets.backends.upstream]
tokens_per_day = 1_000_000_000
"""
# A plugin that implements every hook of a request, but does nothing.
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
# The configuration that its documentation recommends for production, without a database, keys, callbacks and
# logs.
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
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise it is downloaded at every start
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
}


def ours(folder: Path, upstream: int, name: str = OURS, plugins: int = 0, toml: str = "") -> Program:
    """Return this proxy for the server at port ``upstream``, with this many plugins that do nothing.

    ``toml`` is added to its configuration.
    """
    home = folder / name
    (home / "plugins").mkdir(parents=True)
    (home / "proxy.toml").write_text(_CONFIG.format(model=MODEL, port=upstream) + toml)
    for number in range(plugins):
        (home / "plugins" / f"idle_{number}.py").write_text(_PLUGIN)
    command = [sys.executable, "-m", "claude_max_proxy", "serve", "--config", "proxy.toml", "--port"]
    return Program(name, command, folder, _environment(), "/v1/models")


def idle(folder: Path, upstream: int) -> Program:
    """Return this proxy with ten plugins that implement every hook of a request and do nothing in it."""
    return ours(folder, upstream, IDLE, _PLUGINS)


def seen(folder: Path, upstream: int) -> Program:
    """Return this proxy with all its observers, and with a budget that is never used up."""
    return ours(folder, upstream, SEEN, toml=BUDGET)


def unseen(folder: Path, upstream: int) -> Program:
    """Return this proxy without its observers."""
    return ours(folder, upstream, UNSEEN, toml=without_observers())


def without_observers() -> str:
    """Return the part of a configuration that switches all observers off."""
    names = [name.rpartition(".")[2] for name in BUILT_INS if ".observers." in name]
    return "".join(f"\n[plugins.{name}]\nenabled = false\n" for name in names)


def peer(folder: Path, upstream: int) -> Program:
    """Return LiteLLM's proxy with one worker; it is installed into ``.cache/bench`` when it is first used."""
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
