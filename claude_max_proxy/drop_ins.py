"""Plugins as single files dropped into a folder, and as installed packages.

A folder or file that somebody else could write to is refused: whoever can write there could run code here.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

from claude_max_proxy.errors import ConfigError
from claude_max_proxy.hookspecs import PROJECT
from claude_max_proxy.plugins import Plugin


def load_entry_points() -> list[Plugin]:
    """Import what installed packages offer under the entry point group ``claude_max_proxy``."""
    plugins = []
    for entry in importlib.metadata.entry_points(group=PROJECT):
        package = entry.dist.name if entry.dist else entry.value
        try:
            plugins.append(Plugin(entry.name, entry.load(), f"package {package}"))
        except Exception as error:  # whatever an import raises is the plugin's fault
            raise ConfigError(f"plugin {entry.name!r} of {package} cannot be imported: {error!r}") from error
    return plugins


def load_folder(folder: Path) -> list[Plugin]:
    """Import every ``*.py`` of ``folder`` that does not begin with an underscore, by name.

    A folder that does not exist is an empty one. Raises :class:`ConfigError` for a file that cannot be
    imported and for a folder that others may write to.
    """
    if not folder.is_dir():
        return []

    _refuse_if_writable_by_others(folder)
    plugins = []
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            _refuse_if_writable_by_others(path)
            plugins.append(Plugin(path.stem, _import(path), str(path)))
    return plugins


def _import(path: Path) -> ModuleType:
    name = f"claude_max_proxy_drop_in_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"plugin {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever an import raises is the plugin's fault
        del sys.modules[name]
        raise ConfigError(f"plugin {path} cannot be imported: {error!r}") from error
    return module


def _refuse_if_writable_by_others(path: Path) -> None:
    if os.name != "posix":
        return

    status = path.stat()
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not _only_owners_group(status):
        raise ConfigError(f"plugins: {path} is writable by others; run: chmod go-w {path}")
    if status.st_uid not in (0, os.getuid()):
        raise ConfigError(f"plugins: {path} belongs to another user, so its code is not run")


def _only_owners_group(status: os.stat_result) -> bool:
    """Tell whether write access is the owner's private group alone, as many distributions set it up."""
    return not status.st_mode & stat.S_IWOTH and status.st_gid == status.st_uid
