"""``claude-max-proxy config explain``: prints what settings mean, what they may contain, and their values."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.effective import shown, source
from claude_max_proxy.cli.paragraphs import wrapped
from claude_max_proxy.cli.setting_tables import SettingTable, common, entries
from claude_max_proxy.cli.table import print_table
from claude_max_proxy.config import load, near_miss, parse, quoted, read_table
from claude_max_proxy.config.descriptions import Setting
from claude_max_proxy.config.near_misses import closest
from claude_max_proxy.config.toml_text import inline
from claude_max_proxy.formats.quoting import plain, plain_lines
from claude_max_proxy.runtime.runtime import Runtime, find_config


_WIDEST, _NARROWEST = 100, 40


def explain(name: str | None, config_file: str | None) -> None:
    """Print the settings that ``name`` stands for or, without a name, a list of the tables.

    If the configuration cannot be used, a note says so, and the defaults are explained. Raises
    :class:`ConfigError` for an unknown name.
    """
    path = find_config(config_file)
    try:
        runtime, written = Runtime(load(path)), _raw(path)
    except ConfigError as error:
        click.echo(plain_lines(f"{error}\nSo the values below are the defaults.\n"), err=True)
        path, runtime, written = None, Runtime(parse({}, None)), {}
    if name is None:
        _overview(common(runtime))
        return

    texts = []
    for table, settings in find(name, runtime):
        texts.append(_heading(table))
        texts += [_explained(one, table, written, path) for one in settings]
    click.echo(plain_lines("\n".join(texts)), nl=False)


def find(name: str, runtime: Runtime) -> list[tuple[SettingTable, list[Setting]]]:
    """Return what ``name`` stands for: a table with those below it, one setting, or a key of several tables.

    Raises :class:`ConfigError` with the nearest known name for an unknown one.
    """
    name = name.strip().removeprefix("[").removesuffix("]")
    tables = common(runtime)
    every = [*tables, *entries(runtime)]
    below = [one for one in tables if any(f"{path}.".startswith(f"{name}.") for path in _paths(one))]
    if found := below or [one for one in every if name in _paths(one)]:
        return [(one, one.settings) for one in found]

    settings = [(one, own) for one in every for own in one.settings]
    alone = [(one, [own]) for one, own in settings if name in {f"{path}.{own.name}" for path in _paths(one)}]
    anywhere = [(one, [own]) for one, own in settings if own.name == name and one in tables]
    if named := alone or anywhere:
        return named

    raise ConfigError(f"there is no setting or table {name!r}{_hint(name, tables)}")


def _hint(name: str, tables: list[SettingTable]) -> str:
    """Return which name may be meant, or which tables there are."""
    names = {_dotted(one.path) for one in tables}
    keys = {own.name for one in tables for own in one.settings}
    dotted = {f"{_dotted(one.path)}.{own.name}" for one in tables for own in one.settings}
    meant = closest(name, sorted(names | keys | dotted))
    return f"; did you mean {meant!r}?" if meant else near_miss(name, names)


def _overview(tables: list[SettingTable]) -> None:
    rows = [(_dotted(one.path), str(len(one.settings)), one.about) for one in tables]
    print_table(("TABLE", "SETTINGS", "WHAT IT IS FOR"), rows)
    click.echo("\nSay which table or setting to explain: claude-max-proxy config explain server.port")


def _heading(table: SettingTable) -> str:
    return f"[{_dotted(table.path)}]\n{wrapped(table.about, _width())}"


def _explained(setting: Setting, table: SettingTable, written: dict[str, Any], file: Path | None) -> str:
    text = f"{quoted(setting.name)}\n{wrapped(setting.description, _width(), '    ')}"
    text += wrapped(f"type     {setting.type}", _width(), "    ", " " * 13)
    text += f"    default  {plain(setting.written_default)}\n"  # not wrapped, so that it can be copied
    if table.values is not None and setting.name in table.values:
        value = table.values[setting.name]
        said = "unset" if value is None else inline(shown(setting.name, value))
        text += f"    value    {plain(said)}  ({source(written, [*table.path, setting.name], file)})\n"
    return text


def _raw(path: Path | None) -> dict[str, Any]:
    """Return the tables in the file, with the long form for models that are in the short form."""
    raw = read_table(path)
    models = {key: {"to": one} if isinstance(one, str) else one for key, one in raw.get("models", {}).items()}
    return {**raw, "models": models}


def _paths(table: SettingTable) -> set[str]:
    """Return a table's path as TOML has it, and as people type it, without quotes."""
    return {_dotted(table.path), ".".join(table.path)}


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(quoted, path))


def _width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns))
