"""``claude-max-proxy openclaw``: prints what OpenClaw's configuration needs, or writes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.cli.launching import search_path, serve_command
from claude_max_proxy.cli.openclaw import asking, json5_text, places, writing
from claude_max_proxy.cli.openclaw.keys import chosen_key
from claude_max_proxy.cli.openclaw.provider import (
    ROUTES,
    Api,
    Proxy,
    configuration,
    default_model,
    provider,
    wants_current_form,
)
from claude_max_proxy.cli.openclaw.rendering import Style, render
from claude_max_proxy.cli.sockets import local_url
from claude_max_proxy.config import load
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.runtime.runtime import Runtime, find_config


_CONTEXT = "openclaw_context"
_PRINTED = Style("  ", "\n", quoted=False)


class Options(msgspec.Struct, frozen=True):
    """The options on the command line."""

    config_file: str | None = None
    target: str | None = None
    write: bool = False
    api: Api | None = None
    provider: str = "claude-max-proxy"
    key: str | None = None
    make_default: bool = False
    service: bool = True


def run(options: Options) -> None:
    """Run the command. Raises :class:`ConfigError` if something prevents that."""
    runtime = Runtime(load(find_config(options.config_file)))
    path = Path(options.target) if options.target else places.find(os.environ, Path.home())
    text = writing.read(path)
    before = _read(text, path)
    current = wants_current_form(path.name, before)
    api = options.api or _best_api(runtime)
    url = local_url(runtime.config.server)
    log = places.log_file()
    key = chosen_key(runtime.config.server.api_keys, options.key)
    proxy = Proxy(
        url=url,
        key=key.reference,
        models=_visible(asyncio.run(asking.models(runtime, url, key.secret)), key.models),
        command=tuple(serve_command(runtime.config, "--log-file", str(log))) if options.service else (),
        path=search_path(runtime),
    )
    block = provider(proxy, api, _provider_of(before, options.provider), current=current)
    wanted = configuration(options.provider, block, before, make_default=options.make_default)
    if options.write:
        _write(path, text, wanted)
    else:
        click.echo(render(wanted, _PRINTED, ""))
        click.echo(f"\nThis belongs in {path}; --write merges it into that file.", err=True)
    notes = [*_default(before, options.provider, block, make_default=options.make_default)]
    notes += [*_notes(runtime, key.note), *_policy(before, options.provider)]
    if "localService" in block:
        notes.append(f"the log of the proxy that OpenClaw starts is in {log}")
    for note in notes:
        click.echo(f"Note: {note}", err=True)


def _read(text: str, path: Path) -> dict[str, Any]:
    try:
        return json5_text.read(text)
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}; the file was not changed") from error


def _write(path: Path, text: str, wanted: dict[str, Any]) -> None:
    after = json5_text.merge(text, wanted)
    if after == text:
        click.echo(f"{path}: nothing to change")
        return

    json5_text.read(after)  # if we cannot read the result ourselves, we do not write it
    if places.is_read_only(os.environ):
        raise ConfigError(
            "OpenClaw's configuration is managed from outside (OPENCLAW_CONFIG_READONLY or OPENCLAW_NIX_MODE "
            "is set); put what `claude-max-proxy openclaw` prints in there"
        )
    click.echo(writing.difference(text, after, path), nl=False)
    backup = writing.write(path, after)
    click.echo(f"wrote {path}" + (f"; the old file is {backup}" if backup else ""))


def _best_api(runtime: Runtime) -> Api:
    """Return the first API that this proxy serves; with the very first one, OpenClaw's history only grows."""
    served = {route for dialect in runtime.dialects.values() for route in dialect.routes}
    return next((api for api, route in ROUTES.items() if route in served), "openai-completions")


def _visible(models: dict[str, ModelInfo], patterns: list[str]) -> dict[str, ModelInfo]:
    allowed = (name for name in models if not patterns or any(matches(one, name) for one in patterns))
    return {name: models[name] for name in allowed}


def _provider_of(before: dict[str, Any], name: str) -> dict[str, Any]:
    value: Any = before
    for part in ("models", "providers", name):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _default(
    before: dict[str, Any], name: str, block: dict[str, Any], *, make_default: bool
) -> Iterator[str]:
    """Say which default model OpenClaw has now, and how to have another."""
    first = next((f"{name}/{model['id']}" for model in block["models"]), "")
    stays = default_model(before)
    if first and stays and stays != first and not make_default:
        yield f"the default model stays {stays}; to make it {first}, run this again with --default"
    elif first:
        yield f"the default model is {first}; `openclaw models set MODEL` makes it another"


def _notes(runtime: Runtime, key_note: str) -> Iterator[str]:
    if key_note:
        yield key_note
    if runtime.config.server.tls_certificate:
        yield (
            "OpenClaw must trust the proxy's certificate: start it with NODE_EXTRA_CA_CERTS=FILE if it is "
            "one of your own"
        )
    if not any(plugin.name == _CONTEXT for plugin in runtime.plugins):
        yield (
            "OpenClaw moves a message of its own to the end of every request; with the plugin of "
            f"`claude-max-proxy plugins add {_CONTEXT}` conversations go on in place all the same"
        )


def _policy(before: dict[str, Any], name: str) -> Iterator[str]:
    value: Any = before
    for part in ("agents", "defaults", "modelPolicy", "allow"):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, list) and value and not any(str(one).startswith(f"{name}/") for one in value):
        yield f'agents.defaults.modelPolicy.allow leaves these models out; add "{name}/*" to it'
