"""Plugins from folders and from installed packages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.drop_ins import load_entry_points, load_folder


HOOK = """
from claude_max_proxy import hookimpl

@hookimpl
def rewrite_request(request):
    request.system = __name__
"""


def folder_of(path: Path, **files: str) -> Path:
    """A folder of these files, which only we can write to."""
    folder = path / "plugins"
    folder.mkdir(mode=0o700)
    for name, text in files.items():
        file = folder / f"{name}.py"
        file.write_text(text)
        file.chmod(0o600)
    return folder


def test_a_folder_is_loaded_by_name(tmp_path: Path) -> None:
    """Every file is a plugin of its own name, in the order of names, with its path as its origin."""
    folder = folder_of(tmp_path, b=HOOK, a=HOOK)
    loaded = load_folder(folder)
    assert [(plugin.name, plugin.origin) for plugin in loaded] == [
        ("a", str(folder / "a.py")),
        ("b", str(folder / "b.py")),
    ]


def test_what_is_no_plugin_is_left_alone(tmp_path: Path) -> None:
    """Files that begin with an underscore or are no Python are not run."""
    folder = folder_of(tmp_path, _helper="raise RuntimeError", a=HOOK)
    (folder / "notes.txt").write_text("raise RuntimeError")
    assert [plugin.name for plugin in load_folder(folder)] == ["a"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A missing folder is an empty one."""
    assert load_folder(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def (", "SyntaxError"),
        ("import no_such_module_here", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, source: str, message: str) -> None:
    """A broken file is named with what is wrong, and leaves no half module behind."""
    folder = folder_of(tmp_path, broken=source)
    with pytest.raises(ConfigError, match=rf"plugin {re.escape(str(folder))}/broken\.py .*{message}"):
        load_folder(folder)
    assert "claude_max_proxy_drop_in_broken" not in sys.modules


def test_a_file_that_others_can_write(tmp_path: Path) -> None:
    """A file that anybody can write to is refused before it is run, and the remedy is told."""
    folder = folder_of(tmp_path, a="raise RuntimeError")
    (folder / "a.py").chmod(0o606)
    with pytest.raises(ConfigError, match=r"writable by others; run: chmod go-w .*a\.py"):
        load_folder(folder)


def test_a_folder_that_others_can_write(tmp_path: Path) -> None:
    """A folder that anybody can write to is refused, whatever is in it."""
    folder = folder_of(tmp_path)
    folder.chmod(0o707)
    with pytest.raises(ConfigError, match="writable by others"):
        load_folder(folder)


def test_a_file_is_read_anew(tmp_path: Path) -> None:
    """Loading a folder again runs the files as they are now."""
    folder = folder_of(tmp_path, a="NUMBER = 1")
    assert load_folder(folder)[0].module.NUMBER == 1
    (folder / "a.py").write_text("NUMBER = 22")
    assert load_folder(folder)[0].module.NUMBER == 22


def package(path: Path, source: str) -> None:
    """An installed package that offers one plugin as an entry point."""
    (path / "some_package.py").write_text(source)
    information = path / "some_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[claude_max_proxy]\nextra = some_package\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("some_package", None)


def test_an_installed_package(site: Path) -> None:
    """A package's entry point is a plugin of the entry point's name."""
    package(site, HOOK)
    assert [(plugin.name, plugin.origin) for plugin in load_entry_points()] == [
        ("extra", "package some-package")
    ]


def test_a_package_that_cannot_be_imported(site: Path) -> None:
    """A broken package is named with what is wrong."""
    package(site, "1 / 0")
    with pytest.raises(ConfigError, match=r"plugin 'extra' of some-package .*ZeroDivisionError"):
        load_entry_points()
