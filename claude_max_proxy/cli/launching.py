"""How another program can start this proxy: the command line, and a PATH on which the CLI is found."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from claude_max_proxy.backends.claude_cli.command import find_command
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.config import Config
from claude_max_proxy.errors import BackendUnavailable
from claude_max_proxy.runtime.runtime import Runtime


_USUAL = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
_HOMEBREW = "/opt/homebrew/bin"


def serve_command(config: Config, *options: str) -> list[str]:
    """Return the command that serves this configuration, with the Python interpreter that runs now."""
    command = [sys.executable, "-m", "claude_max_proxy", "serve", *options]
    return [*command, "--config", str(config.source.resolve())] if config.source else command


def search_path(runtime: Runtime) -> str:
    """Return a PATH for a proxy that no shell starts: the folders of the CLI and Node, and the usual ones.

    As long as the CLI is found, it does not depend on the shell from which this command is run.
    """
    folders = [*_cli_folders(runtime), *_folder_of("node")]
    if os.name == "nt":
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        folders += [rf"{root}\System32", root, rf"{root}\System32\WindowsPowerShell\v1.0"]
    else:
        folders += [_HOMEBREW] if sys.platform == "darwin" else []
        folders += _USUAL
    return os.pathsep.join(dict.fromkeys(folders))


def _cli_folders(runtime: Runtime) -> Iterator[str]:
    for _, settings, _ in runtime.recipes.values():
        if isinstance(settings, ClaudeCliSettings):
            try:
                program = find_command(settings.command)[0]
            except BackendUnavailable:  # other code reports this
                continue
            yield str(Path(program).absolute().parent)


def _folder_of(program: str) -> list[str]:
    found = shutil.which(program)
    return [str(Path(found).absolute().parent)] if found else []
