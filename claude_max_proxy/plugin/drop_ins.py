"""Imports plugins: single files in a drop-in folder, and installed packages.

A folder or file that another user could write to is refused, since that user could then run code as us.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import msgspec

from claude_max_proxy.concurrency import threads
from claude_max_proxy.concurrency.endings import described
from claude_max_proxy.config.regular_file import read_regular
from claude_max_proxy.config.safe_files import refuse_if_writable_by_others
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.hookspecs import PROJECT
from claude_max_proxy.plugin.hooks import without_hooks
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import check_hooks


logger = logging.getLogger(__name__)
Stamp = tuple[int, int, int]
# Some packages take seconds to import, on a machine that has much to do.
IMPORT_TIMEOUT = 20.0
_LARGEST = 8_000_000
# Files whose import has not ended in this process: its thread still runs, and one is enough.
_ENDLESS: dict[Path, tuple[Stamp, str]] = {}


def load_entry_points() -> list[Plugin]:
    """Import what installed packages offer under the entry point group ``claude_max_proxy``."""
    plugins = []
    for entry in importlib.metadata.entry_points(group=PROJECT):
        package = entry.dist.name if entry.dist else entry.value
        module, error = threads.within(IMPORT_TIMEOUT, entry.load, f"import-{entry.name}")
        if error is not None:  # whatever an import raises is the plugin's fault
            raise ConfigError(
                f"plugin {entry.name!r} of {package} cannot be imported: {described(error)}"
            ) from error
        plugins.append(Plugin(entry.name, module, f"package {package}"))
    return plugins


class DropIn(msgspec.Struct, frozen=True, eq=False):
    """An imported file, and the stamp of the text that was imported."""

    module: ModuleType
    stamp: Stamp


class DropIns:
    """The plugin files in some folders. Files that have not changed since ``before`` are not imported again.

    If a changed file cannot be imported, its last good version stays in use; a new file that cannot be
    imported is left out. ``problems`` says what is wrong with each of them, by path.
    """

    def __init__(self, folders: Iterable[Path], before: DropIns | None = None) -> None:
        """Import every ``*.py`` whose name does not begin with an underscore, in the order of the names.

        A folder that does not exist counts as empty. Raises :class:`ConfigError` for a folder or file that
        other users can write to.
        """
        self.files: dict[Path, DropIn] = {}
        self.problems: dict[Path, str] = {}
        for folder in folders:
            if folder.is_dir():
                refuse_if_writable_by_others(folder, "plugins")
                for path in sorted(folder.glob("*.py")):
                    if not path.name.startswith("_"):
                        self._load(path, before)

    def plugins(self) -> list[Plugin]:
        """Return the files as plugins, also those that could not be imported."""
        broken = [path for path in self.problems if path not in self.files]
        return [
            *(
                Plugin(path.stem, file.module, str(path), problem=self.problems.get(path, ""))
                for path, file in self.files.items()
            ),
            *(Plugin(path.stem, None, str(path), problem=self.problems[path]) for path in broken),
        ]

    def _load(self, path: Path, before: DropIns | None) -> None:
        old = before.files.get(path) if before else None
        stamp = stamp_of(path)
        try:
            refuse_if_writable_by_others(path, "plugins")
        except OSError as error:
            if path.is_symlink() or not isinstance(error, FileNotFoundError):  # else it was deleted just now
                what = "leads nowhere" if path.is_symlink() else "cannot be read"
                self._note(path, f"{path}: the plugin {what}: {error.strerror}", old, stamp)
            return

        if before and old and old.stamp == stamp:
            self.files[path] = old
            if problem := before.problems.get(path):
                self.problems[path] = problem
            return

        began, problem = _ENDLESS.get(path, (None, ""))
        if began == stamp:
            self._note(path, problem, old, stamp)
            return

        try:
            module = _import(path)
            self.files[path] = DropIn(module, stamp)
            if remedy := without_hooks(module):
                logger.warning("plugin %s has no hook, and so does nothing: %s", path, remedy)
        except ConfigError as error:
            if isinstance(error.__cause__, threads.StillRunning):
                _ENDLESS[path] = (stamp, str(error))
            self._note(path, str(error), old, stamp)

    def _note(self, path: Path, problem: str, old: DropIn | None, stamp: Stamp) -> None:
        """Log what is wrong with a file, and keep using its last good version, if there is one."""
        self.problems[path] = problem
        logger.error("%s%s", problem, "; the version before stays in use" if old else "")
        if old:
            self.files[path] = DropIn(old.module, stamp)


def stamp_of(path: Path) -> Stamp:
    """Return a file's time, size and inode, one of which each write changes; zeros if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _import(path: Path) -> ModuleType:
    """Import a file on a separate thread, which is left behind if the import never ends.

    Raises :class:`ConfigError` for whatever goes wrong, with the line if there is one.
    """
    try:
        source = read_regular(path, _LARGEST)
    except OSError as problem:
        raise ConfigError(f"{path}: the plugin cannot be read: {problem.strerror or problem}") from problem
    name = f"claude_max_proxy_drop_in_{path.stem}"
    loader = _Source(name, str(path), source)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # the loader is given
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module

    def execute() -> None:
        loader.exec_module(module)
        check_hooks(Plugin(path.stem, module, str(path)))

    error: BaseException | None = KeyboardInterrupt()  # unless it gets as far as its own
    try:
        _, error = threads.within(IMPORT_TIMEOUT, execute, f"import-{path.stem}")
    finally:
        if error is not None:
            del sys.modules[name]
            if before is not None:
                sys.modules[name] = before
    if isinstance(error, ConfigError):
        raise error
    if error is not None:  # whatever an import raises is the plugin's fault
        what = str(error) if isinstance(error, threads.StillRunning) else described(error)
        raise ConfigError(f"{path}{_line(error, path)}: the plugin cannot be imported: {what}") from error
    return module


class _Source(SourceFileLoader):
    """Compiles source that was read before: cached bytecode would hide a change within the same second."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType | None:  # noqa: ARG002  # the loader's interface
        """Compile the source without writing a bytecode file."""
        return self.source_to_code(self._source, self.path)


def _line(error: BaseException, path: Path) -> str:
    """Return the line of the file where the import failed, as ``:12``."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{frames[-1].lineno}" if frames else ""
