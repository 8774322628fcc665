"""Plugins from folders and from installed packages."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.drop_ins import DropIns, load_entry_points, stamp_of


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


def names(drop_ins: DropIns) -> list[tuple[str, str]]:
    """What is in use: each plugin's name and origin."""
    return [(plugin.name, plugin.origin) for plugin in drop_ins.plugins() if plugin.module]


def test_a_folder_is_loaded_by_name(tmp_path: Path) -> None:
    """Every file is a plugin of its own name, in the order of names, with its path as its origin."""
    folder = folder_of(tmp_path, b=HOOK, a=HOOK)
    assert names(DropIns([folder])) == [("a", str(folder / "a.py")), ("b", str(folder / "b.py"))]


def test_what_is_no_plugin_is_left_alone(tmp_path: Path) -> None:
    """Files that begin with an underscore or are no Python are not run."""
    folder = folder_of(tmp_path, _helper="raise RuntimeError", a=HOOK)
    (folder / "notes.txt").write_text("raise RuntimeError")
    assert [name for name, _ in names(DropIns([folder]))] == ["a"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A missing folder is an empty one."""
    assert DropIns([tmp_path / "none"]).plugins() == []


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("x = 1\ndef (", ":2", "SyntaxError"),
        ("\n\nimport no_such_module_here", ":3", "ModuleNotFoundError"),
        ("1 / 0", ":1", "ZeroDivisionError"),
        ("import sys\nsys.exit(3)", ":2", "SystemExit"),
        ("open('no such file')", ":1", "FileNotFoundError"),
        ("x = '\0'", "", "SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_imported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str, line: str, message: str
) -> None:
    """A broken file is told with its line and left out, stops no other, and leaves no half module behind."""
    folder = folder_of(tmp_path, broken=source, fine=HOOK)
    loaded = DropIns([folder])
    problem = loaded.problems[folder / "broken.py"]
    assert re.match(
        rf"plugin {re.escape(str(folder))}/broken\.py{line}.* cannot be imported: {message}", problem
    )
    assert [name for name, _ in names(loaded)] == ["fine"]
    assert [plugin.problem for plugin in loaded.plugins() if plugin.name == "broken"] == [problem]
    assert problem in caplog.text
    assert "claude_max_proxy_drop_in_broken" not in sys.modules


def test_a_hook_that_does_not_exist(tmp_path: Path) -> None:
    """A file whose hooks cannot be called is as broken as one that cannot be imported."""
    folder = folder_of(tmp_path, typo=HOOK.replace("rewrite_request", "rewrite_requests"))
    assert "rewrite_requests" in DropIns([folder]).problems[folder / "typo.py"]


def test_a_file_that_others_can_write(tmp_path: Path) -> None:
    """A file that anybody can write to is refused before it is run, and the remedy is told."""
    folder = folder_of(tmp_path, a="raise RuntimeError")
    (folder / "a.py").chmod(0o606)
    with pytest.raises(ConfigError, match=r"writable by others; run: chmod go-w .*a\.py"):
        DropIns([folder])


def test_a_folder_that_others_can_write(tmp_path: Path) -> None:
    """A folder that anybody can write to is refused, whatever is in it."""
    folder = folder_of(tmp_path)
    folder.chmod(0o707)
    with pytest.raises(ConfigError, match="writable by others"):
        DropIns([folder])


# --- again, after a change


def test_what_did_not_change_is_the_same(tmp_path: Path) -> None:
    """A file that did not change is not run again: its module is the same object, with what it holds."""
    folder = folder_of(tmp_path, a="STATE = []", b="NUMBER = 1")
    before = DropIns([folder])
    before.files[folder / "a.py"].module.STATE.append("kept")
    (folder / "b.py").write_text("NUMBER = 2")
    after = DropIns([folder], before)
    assert after.files[folder / "a.py"].module is before.files[folder / "a.py"].module
    assert after.files[folder / "a.py"].module.STATE == ["kept"]
    assert after.files[folder / "b.py"].module.NUMBER == 2


def test_what_changed_within_a_moment_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the same length in the same second is seen: no cached bytecode stands in for the file."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = folder_of(tmp_path, a="NUMBER = 1")
    for number in range(1, 6):
        (folder / "a.py").write_text(f"NUMBER = {number}")
        assert number == DropIns([folder]).files[folder / "a.py"].module.NUMBER
    assert [path.name for path in folder.iterdir()] == ["a.py"]


def test_new_and_deleted(tmp_path: Path) -> None:
    """A new file comes in, and a deleted one goes."""
    folder = folder_of(tmp_path, a=HOOK)
    before = DropIns([folder])
    (folder / "b.py").write_text(HOOK)
    (folder / "a.py").unlink()
    assert [name for name, _ in names(DropIns([folder], before))] == ["b"]


def test_a_file_that_breaks(tmp_path: Path) -> None:
    """A change that cannot be used leaves the version before in use, and says so until it is mended."""
    folder = folder_of(tmp_path, a="NUMBER = 1")
    file = folder / "a.py"
    first = DropIns([folder])
    file.write_text("NUMBER = 1 / 0")
    second = DropIns([folder], first)
    third = DropIns([folder], second)
    for broken in (second, third):
        assert broken.files[file].module is first.files[file].module
        assert "ZeroDivisionError" in broken.problems[file]
        assert [(plugin.module.NUMBER, bool(plugin.problem)) for plugin in broken.plugins()] == [(1, True)]
    assert sys.modules[first.files[file].module.__name__] is first.files[file].module
    file.write_text("NUMBER = 3")
    mended = DropIns([folder], third)
    assert (mended.files[file].module.NUMBER, mended.problems) == (3, {})


def test_stamps(tmp_path: Path) -> None:
    """A file's stamp changes when it is written or replaced, and is zero when there is none."""
    file = tmp_path / "a.py"
    assert stamp_of(file) == (0, 0, 0)
    file.write_text("a")
    written = stamp_of(file)
    other = tmp_path / "b.py"
    other.write_text("b")
    os.utime(other, ns=(written[0], written[0]))
    other.replace(file)
    assert stamp_of(file) != written


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
