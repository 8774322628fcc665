"""Configurations that the command `config` is tried on."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from claude_max_proxy.cli.commands import config
from tests.scripted import plugin_folder


SECRET = "sk-very-secret"
SETTINGS = """
import claude_max_proxy as proxy

class Settings(proxy.Settings, frozen=True):
    words: list[str] = []
    api_token: str = ""
    limit: float | None = None

@proxy.hookimpl
def rewrite_request(request): ...
"""


def run(*words: str) -> Result:
    """Run a subcommand; what it raises is raised here."""
    return CliRunner().invoke(config, words, catch_exceptions=False, standalone_mode=False)


def written(folder: Path, toml: str, **sources: str) -> Path:
    """Return a ``proxy.toml`` whose backend is scripted; the text begins on its second line."""
    plugin_folder(folder, **sources)
    file = folder / "proxy.toml"
    file.write_text(f'backends.claude.type = "scripted"\n{toml}')
    return file
