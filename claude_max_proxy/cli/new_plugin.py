"""``claude-max-proxy plugins new NAME``: writes a working plugin and its test, from which you can go on."""

from __future__ import annotations

import re
from pathlib import Path

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.add_plugin import first_folder


_PLUGIN = '''"""{name}: say here what it does. Set it up in proxy.toml under [plugins.{name}]."""

from __future__ import annotations

from typing import Annotated

import claude_max_proxy
from claude_max_proxy import Meta, Record, Request, hookimpl


class Settings(claude_max_proxy.Settings, frozen=True):
    """The settings of [plugins.{name}]; each has a type, a description and a default."""

    greeting: Annotated[str, Meta(description="A text before the client's instructions. Empty: none.")] = ""


@hookimpl
def rewrite_request(request: Request, settings: Settings) -> None:
    """Put the greeting before the client's instructions, if there is one."""
    if settings.greeting:
        request.system = f"{{settings.greeting}}\\n\\n{{request.system}}".strip()


@hookimpl
def log_request(record: Record) -> None:
    """Hear about every finished request; remove this if you do not need it."""
'''

_TEST = '''"""Tests of the plugin {name}. Run with: python -m pytest {path}"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from claude_max_proxy import Request


_SPEC = importlib.util.spec_from_file_location("{name}", Path(__file__).with_name("{name}.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
plugin = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(plugin)


def test_the_greeting_stands_before_the_instructions() -> None:
    """A greeting that is set up comes first."""
    request = Request("any", system="Be brief.")
    plugin.rewrite_request(request, plugin.Settings(greeting="Hello."))
    assert request.system == "Hello.\\n\\nBe brief."


def test_nothing_changes_without_settings() -> None:
    """A plugin that is not set up leaves requests alone."""
    request = Request("any", system="Be brief.")
    plugin.rewrite_request(request, plugin.Settings())
    assert request.system == "Be brief."
'''


def write(name: str, config_file: str | None, folder: str | None = None) -> None:
    """Write both files into ``folder``, or into the first folder of ``[plugins] paths``.

    Raises :class:`ConfigError` for what cannot be a plugin's name, or if a file exists already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(f"{name!r} cannot be a plugin's name: use small letters, digits and underscores")

    directory = Path(folder) if folder else first_folder(config_file)
    plugin, test = directory / f"{name}.py", directory / f"_test_{name}.py"
    for path in (plugin, test):
        if path.exists():
            raise ConfigError(f"{path} already exists")
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        test.write_text(_TEST.format(name=name, path=test), "utf-8")
        plugin.write_text(_PLUGIN.format(name=name), "utf-8")
        plugin.chmod(0o644)
    except OSError as error:
        raise ConfigError(f"{plugin} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {plugin} and {test}")
    if not folder:
        click.echo("a running proxy uses it within a second")
