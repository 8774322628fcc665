"""``claude-max-proxy config``: check, show, schema, init."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import tomli_w

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.listening import tls_options
from claude_max_proxy.cli.locating import line_of
from claude_max_proxy.cli.schema import config_schema
from claude_max_proxy.config import DEFAULT_MODELS, ServerConfig, load, quoted
from claude_max_proxy.runtime import Runtime, find_config
from claude_max_proxy.secret import masked
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.server.keys import Keys


_SECRET_WORDS = ("key", "token", "secret", "password", "auth", "credential")
_ANYTHING = "env"  # whose names say nothing
_PUBLIC = frozenset({"tls_key"})  # a path
_PATH_END = ": "
_UNKNOWN_KEY = re.compile(r": unknown key '([^']+)'")
_UNKNOWN_TABLE = re.compile(r"^unknown table \[([^\]]+)\]")


def check(config_file: str | None) -> None:
    """Read, build, and say so; raise :class:`ConfigError` with the line where it is known."""
    path = find_config(config_file)
    runtime = build(path)
    problems = [plugin.problem for plugin in runtime.plugins.found if plugin.problem]
    if problems:
        raise ConfigError("\n".join(problems))
    counts = f"{len(runtime.config.models)} models, {len(runtime.backends)} backends"
    click.echo(f"{path or 'the defaults'}: ok: {counts}, {len(list(runtime.plugins))} plugins")


def build(path: Path | None) -> Runtime:
    """Build what ``path`` says; raise :class:`ConfigError` with the line where it is known."""
    try:
        runtime = Runtime(load(path))
        check_reach(runtime.config.server)
        tls_options(runtime.config.server)
        Keys(runtime.config.server.api_keys, runtime.rates)
    except ConfigError as error:
        raise ConfigError(_with_line(str(error), path)) from error
    return runtime


def show(config_file: str | None) -> None:
    """Print the effective configuration, each line with where it comes from."""
    path = find_config(config_file)
    runtime = Runtime(load(path))
    written = tomllib.loads(path.read_text("utf-8")) if path else {}
    for table, values in _tables(runtime):
        click.echo(f"[{'.'.join(map(quoted, table))}]")
        for name, value in values.items():
            shown = value if table == ("models",) else _shown(name, value)
            click.echo(f"{quoted(name)} = {_inline(shown)}  # {_source(written, [*table, name], path)}")
        click.echo()


def schema() -> None:
    """Print the JSON schema."""
    click.echo(json.dumps(config_schema(), indent=2))


def init(path_: str) -> None:
    """Write the annotated file; refuse to overwrite one."""
    path = Path(path_)
    text = annotated()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; choose another name, or remove it first") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"{path} is written; every line in it says a default. Check changes with: config check")


def annotated() -> str:
    """Return the annotated proxy.toml that is shipped: in the package, or at the root of a checkout."""
    here = Path(__file__).parent
    for path in (here / "proxy.toml", here.parents[1] / "proxy.toml"):
        if path.is_file():
            return path.read_text("utf-8")

    raise ConfigError("this installation lacks the annotated proxy.toml")


def _with_line(message: str, path: Path | None) -> str:
    """Put file and line before a message that begins with the path of a key."""
    if path is None or not path.is_file():
        return message

    key = message.partition(_PATH_END)[0]
    if unknown := _UNKNOWN_TABLE.search(message):
        key = unknown[1]
    elif unknown := _UNKNOWN_KEY.search(message):
        key = f"{key}.{quoted(unknown[1])}"
    line = line_of(path.read_text("utf-8"), key)
    return f"{path}:{line}: {message}" if line else message


def _tables(runtime: Runtime) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    config = runtime.config
    yield ("server",), _server(config.server)
    yield ("models",), {name: _plain(entry) for name, entry in config.models.items()}
    for name, (_, settings) in runtime.recipes.items():
        table = {"type": config.backends[name]["type"], **msgspec.to_builtins(settings)}
        yield ("backends", name), table
    yield ("plugins",), {"paths": config.plugins.paths, "order": config.plugins.order}
    for plugin in runtime.plugins.found:
        own = msgspec.to_builtins(plugin.settings) if plugin.settings is not None else {}
        if own or plugin.name in config.plugins.tables:
            yield ("plugins", plugin.name), {**msgspec.to_builtins(plugin.policy), **own}


def _server(config: ServerConfig) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(config)
    for name, key in table["api_keys"].items():
        if isinstance(key, dict):
            key["key"] = masked(key["key"])
        else:
            table["api_keys"][name] = masked(key)
    return table


def _plain(entry: Any) -> Any:
    """Write a model's entry in its short form where it says nothing but its target."""
    defaults = msgspec.to_builtins(type(entry)(to=entry.to))
    values = {
        name: value
        for name, value in msgspec.to_builtins(entry).items()
        if name == "to" or value != defaults[name]
    }
    return values["to"] if len(values) == 1 else values


def _shown(name: str, value: Any) -> Any:
    """Mask what may be a secret, also inside tables; TOML has no null, so what is not set is empty."""
    match value:
        case dict():
            inside = {key: name if name == _ANYTHING else key for key in value}
            return {key: _shown(inside[key], one) for key, one in value.items() if one is not None}
        case list() | tuple():
            return [_shown(name, one) for one in value]
        case str() if value and may_be_secret(name.lower()):
            return masked(value)
        case _:
            return "" if value is None else value


def may_be_secret(name: str) -> bool:
    """Tell whether the value under this name, in small letters, may be a secret."""
    return name not in _PUBLIC and (name == _ANYTHING or any(word in name for word in _SECRET_WORDS))


def _inline(value: Any) -> str:
    """Write a value on one line, tables and lists too."""
    match value:
        case dict():
            pairs = ", ".join(f"{quoted(key)} = {_inline(one)}" for key, one in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(map(_inline, value))}]"
        case _:
            return tomli_w.dumps({"x": value}).strip().removeprefix("x = ")


def _source(written: dict[str, Any], path: list[str], file: Path | None) -> str:
    value: Any = written
    for key in path:
        if not isinstance(value, dict) or key not in value:
            built_in = path[0] == "models" and path[-1] in DEFAULT_MODELS
            return "built in" if built_in else "default"
        value = value[key]
    return str(file)
