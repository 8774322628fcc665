"""Plugins from folders and from installed packages."""

from __future__ import annotations

import builtins
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.plugin.drop_ins import DropIns, load_entry_points, stamp_of


HOOK = """
from claude_max_proxy import hookimpl

@hookimpl
def rewrite_request(request):
    request.system = __name__
"""


def folder_of(path: Path, **files: str) -> Path:
    """Return a folder with these files, which only we can write to."""
    folder = path / "plugins"
    folder.mkdir(mode=0o700)
    for name, text in files.items():
        file = folder / f"{name}.py"
        file.write_text(text)
        file.chmod(0o600)
    return folder


def names(drop_ins: DropIns) -> list[tuple[str, str]]:
    """Return the plugins in use, each with its name and origin."""
    return [(plugin.name, plugin.origin) for plugin in drop_ins.plugins() if plugin.module]


def test_a_folder_is_loaded_by_name(tmp_path: Path) -> None:
    """Every file is a plugin with the file's name, in the order of names, with its path as the origin."""
    folder = folder_of(tmp_path, b=HOOK, a=HOOK)
    assert names(DropIns([folder])) == [("a", str(folder / "a.py")), ("b", str(folder / "b.py"))]


def test_what_is_no_plugin_is_left_alone(tmp_path: Path) -> None:
    """Files that begin with an underscore or are not Python are not run."""
    folder = folder_of(tmp_path, _helper="raise RuntimeError", a=HOOK)
    (folder / "notes.txt").write_text("raise RuntimeError")
    assert [name for name, _ in names(DropIns([folder]))] == ["a"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A missing folder counts as empty."""
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
    """A broken file is reported with its line and left out; it stops no other and leaves no half module."""
    folder = folder_of(tmp_path, broken=source, fine=HOOK)
    loaded = DropIns([folder])
    problem = loaded.problems[folder / "broken.py"]
    assert re.match(
        rf"{re.escape(str(folder))}/broken\.py{line}.*: the plugin cannot be imported: {message}", problem
    )
    assert [name for name, _ in names(loaded)] == ["fine"]
    assert [plugin.problem for plugin in loaded.plugins() if plugin.name == "broken"] == [problem]
    assert problem in caplog.text
    assert "claude_max_proxy_drop_in_broken" not in sys.modules


def test_a_hook_that_does_not_exist(tmp_path: Path) -> None:
    """A file whose hooks cannot be called counts as broken, like one that cannot be imported."""
    folder = folder_of(tmp_path, typo=HOOK.replace("rewrite_request", "rewrite_requests"))
    assert "rewrite_requests" in DropIns([folder]).problems[folder / "typo.py"]


def _fifo(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    path.chmod(0o600)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole
    path.chmod(0o600)


@pytest.mark.skipif(os.name != "posix", reason="what there is on POSIX")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_fifo, "cannot be read: it is a FIFO, not a regular file"),
        (_socket, "cannot be read: it is a socket, not a regular file"),
        (lambda path: path.mkdir(0o700), "cannot be read: it is a directory, not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "leads nowhere: No such file or directory"),
        (lambda path: path.symlink_to(path.name), "leads nowhere: Too many levels of symbolic links"),
        (_large, "cannot be read: it is larger than 8,000,000 bytes"),
    ],
    ids=["fifo", "socket", "directory", "dangling", "circle", "large"],
)
def test_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], object], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not a file, or too large, is reported by name, and stops neither us nor other plugins."""
    folder = folder_of(tmp_path, fine=HOOK)
    make(folder / "odd.py")
    first = DropIns([folder])
    for loaded in (first, DropIns([folder], first)):
        assert f"{folder / 'odd.py'}: the plugin {message}" == loaded.problems[folder / "odd.py"]
        assert [name for name, _ in names(loaded)] == ["fine"]
    assert message in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="what there is on POSIX")
@pytest.mark.parametrize(
    ("make", "message"),
    [(_fifo, "it is a FIFO"), (lambda path: path.symlink_to("nowhere"), "leads nowhere")],
    ids=["fifo", "dangling"],
)
def test_a_file_that_becomes_another_thing(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    """If a plugin's file is replaced by something else, the plugin stays as it was, and this is reported."""
    folder = folder_of(tmp_path, a="NUMBER = 1")
    file = folder / "a.py"
    first = DropIns([folder])
    file.unlink()
    make(file)
    second = DropIns([folder], first)
    for loaded in (second, DropIns([folder], second)):
        assert loaded.files[file].module.NUMBER == 1
        assert message in loaded.problems[file]


ENDLESS = "import builtins, threading\nNUMBER = {}\nif NUMBER > 1:\n    builtins.gate.wait(30)\n"


@pytest.mark.parametrize("before", [None, 1], ids=["new", "changed"])
def test_an_import_that_never_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int | None
) -> None:
    """An import that takes too long is reported by name, is tried once, and changes nothing."""
    gate = threading.Event()
    monkeypatch.setattr(builtins, "gate", gate, raising=False)
    monkeypatch.setattr("claude_max_proxy.plugin.drop_ins.IMPORT_TIMEOUT", 0.2)
    folder = folder_of(tmp_path, fine=HOOK, **({"slow": ENDLESS.format(before)} if before else {}))
    file = folder / "slow.py"
    first = DropIns([folder])
    file.write_text(ENDLESS.format(2))
    file.chmod(0o600)
    loaded = first
    for _ in range(3):
        loaded = DropIns([folder], loaded)
        assert "cannot be imported: it took longer than 0.2 s" in loaded.problems[file]
        assert {name for name, _ in names(loaded)} == {"fine"} | ({"slow"} if before else set())
        assert sum(thread.name == "import-slow" for thread in threading.enumerate()) == 1
    name = "claude_max_proxy_drop_in_slow"
    assert getattr(sys.modules.get(name), "NUMBER", None) == before
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "import-slow":
            thread.join(20)
    assert getattr(sys.modules.get(name), "NUMBER", None) == before
    file.write_text("NUMBER = 0")
    assert DropIns([folder], loaded).problems == {}


def test_a_file_that_others_can_write(tmp_path: Path) -> None:
    """A file that any user can write to is refused before it is run, with what to do."""
    folder = folder_of(tmp_path, a="raise RuntimeError")
    (folder / "a.py").chmod(0o606)
    with pytest.raises(ConfigError, match=r"writable by others; run: chmod go-w .*a\.py"):
        DropIns([folder])


def test_a_folder_that_others_can_write(tmp_path: Path) -> None:
    """A folder that any user can write to is refused, whatever is in it."""
    folder = folder_of(tmp_path)
    folder.chmod(0o707)
    with pytest.raises(ConfigError, match="writable by others"):
        DropIns([folder])


# --- again, after a change


def test_what_did_not_change_is_the_same(tmp_path: Path) -> None:
    """A file that did not change is not run again: its module stays the same object, with its state."""
    folder = folder_of(tmp_path, a="STATE = []", b="NUMBER = 1")
    before = DropIns([folder])
    before.files[folder / "a.py"].module.STATE.append("kept")
    (folder / "b.py").write_text("NUMBER = 2")
    after = DropIns([folder], before)
    assert after.files[folder / "a.py"].module is before.files[folder / "a.py"].module
    assert after.files[folder / "a.py"].module.STATE == ["kept"]
    assert after.files[folder / "b.py"].module.NUMBER == 2


def test_what_changed_within_a_moment_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the same length in the same second is noticed: no cached bytecode is used."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = folder_of(tmp_path, a="NUMBER = 1")
    for number in range(1, 6):
        (folder / "a.py").write_text(f"NUMBER = {number}")
        assert number == DropIns([folder]).files[folder / "a.py"].module.NUMBER
    assert [path.name for path in folder.iterdir()] == ["a.py"]


def test_new_and_deleted(tmp_path: Path) -> None:
    """A new file is added, and a deleted one is removed."""
    folder = folder_of(tmp_path, a=HOOK)
    before = DropIns([folder])
    (folder / "b.py").write_text(HOOK)
    (folder / "a.py").unlink()
    assert [name for name, _ in names(DropIns([folder], before))] == ["b"]


def test_a_file_that_breaks(tmp_path: Path) -> None:
    """A change that cannot be used leaves the previous version in use, and is reported until it is fixed."""
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
    """A file's stamp changes when it is written or replaced, and is zero if the file is missing."""
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
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("some_package", None)


def test_an_installed_package(site: Path) -> None:
    """A package's entry point is a plugin with the entry point's name."""
    package(site, HOOK)
    assert [(plugin.name, plugin.origin) for plugin in load_entry_points()] == [
        ("extra", "package some-package")
    ]


def test_a_package_that_cannot_be_imported(site: Path) -> None:
    """A broken package is named with what is wrong."""
    package(site, "1 / 0")
    with pytest.raises(ConfigError, match=r"plugin 'extra' of some-package .*ZeroDivisionError"):
        load_entry_points()
