"""Files that others could write, replace or read."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import load
from claude_max_proxy.config.safe_files import refuse_if_readable_by_others, refuse_if_writable_by_others
from claude_max_proxy.config.secret import find_secret
from claude_max_proxy.plugin.drop_ins import DropIns


OTHER_USER = 54_321
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter: those of pytest are closed further up."""
    path = Path(tempfile.mkdtemp(dir="/tmp")).resolve()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def tree(folder: Path) -> Path:
    """Make ``upper/lower/file``, which only we can write."""
    (folder / "upper" / "lower").mkdir(parents=True)
    for path in (folder / "upper", folder / "upper" / "lower"):
        path.chmod(0o755)
    file = folder / "upper" / "lower" / "file"
    file.write_text("")
    file.chmod(0o644)
    return file


def linked(folder: Path, name: str, target: Path | str) -> Path:
    """Make a link in a separate folder."""
    own = folder / name
    own.mkdir()
    own.chmod(0o755)
    (own / "link").symlink_to(target)
    return own / "link"


def open_up(path: Path, mode: int, group: int = OTHER_USER) -> None:
    """Set a mode; if the mode has bits for the group, also a group that is not the owner's own."""
    if os.getuid() == 0:
        os.chown(path, -1, group)
    elif mode & 0o070 and path.stat().st_gid == path.stat().st_uid:
        pytest.skip("this user's group is private")
    path.chmod(mode)


SAFE: dict[str, Callable[[Path, Path], Path]] = {
    "as-it-is": lambda folder, file: file,
    "through-a-link": lambda folder, file: linked(folder, "one", file),
    "through-a-relative-link": lambda folder, file: linked(folder, "one", "../upper/../upper/lower/file"),
    "through-a-linked-folder": lambda folder, file: linked(folder, "one", file.parent) / "file",
    "through-two-links": lambda folder, file: linked(folder, "two", linked(folder, "one", file)),
}


@pytest.mark.parametrize("path_of", SAFE.values(), ids=SAFE.keys())
def test_what_only_we_can_change(folder: Path, path_of: Callable[[Path, Path], Path]) -> None:
    """A path is safe when every folder, link and file on the way is ours or root's, /tmp included."""
    refuse_if_writable_by_others(path_of(folder, tree(folder)), "here")


@pytest.mark.parametrize("mode", [0o757, 0o775, 0o777], ids=["all", "group", "both"])
@pytest.mark.parametrize("opened", ["upper/lower/file", "upper/lower", "upper", "."])
@pytest.mark.parametrize("through", ["itself", "link", "linked-folder"])
def test_what_others_can_write(folder: Path, mode: int, opened: str, through: str) -> None:
    """If others may write anywhere on the way, the file is refused, with the command that fixes it."""
    file = tree(folder)
    wanted = {
        "itself": lambda: file,
        "link": lambda: linked(folder, "one", file),
        "linked-folder": lambda: linked(folder, "one", file.parent) / "file",
    }[through]()
    open_up(folder / opened, mode)
    culprit = (folder / opened).resolve()
    with pytest.raises(ConfigError) as raised:
        refuse_if_writable_by_others(wanted, "here")
    consequence = f"(, so others could replace {wanted})?"
    assert re.fullmatch(
        rf"here: {culprit} is writable by others{consequence}; run: chmod go-w {culprit}", str(raised.value)
    )


def test_the_folder_of_a_link(folder: Path) -> None:
    """If others may write to the folder of a link, they could replace it, although its target is safe."""
    link = linked(folder, "one", tree(folder))
    link.parent.chmod(0o777)
    with pytest.raises(ConfigError, match=rf"{link.parent} is writable by others"):
        refuse_if_writable_by_others(link, "here")


def test_a_sticky_folder(folder: Path) -> None:
    """In a folder such as /tmp others may write, but not replace what is ours; itself it is not safe."""
    file = tree(folder)
    file.parent.chmod(0o1777)
    refuse_if_writable_by_others(file, "here")
    with pytest.raises(ConfigError, match="is writable by others"):
        refuse_if_writable_by_others(file.parent, "here")


@as_root
@pytest.mark.parametrize("place", ["upper/lower/file", "upper/lower", "upper"])
@pytest.mark.parametrize("sticky", [False, True])
def test_what_belongs_to_another_user(folder: Path, place: str, sticky: bool) -> None:
    """A file that another user owns can be changed by that user, in a sticky folder too."""
    file = tree(folder)
    if sticky:
        (folder / place).parent.chmod(0o1777)
    os.chown(folder / place, OTHER_USER, -1)
    with pytest.raises(ConfigError, match=rf"^here: {folder / place} belongs to another user, so "):
        refuse_if_writable_by_others(file, "here")


@as_root
def test_another_users_link(folder: Path) -> None:
    """A link that another user made in a sticky folder can be changed at any time."""
    link = linked(folder, "one", tree(folder))
    link.parent.chmod(0o1777)
    os.chown(link, OTHER_USER, -1, follow_symlinks=False)
    with pytest.raises(ConfigError, match=rf"{link} belongs to another user"):
        refuse_if_writable_by_others(link, "here")


def test_what_is_not_there(folder: Path) -> None:
    """A path that cannot be followed is reported in the system's words: no file, a broken link, a loop."""
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    for path in (folder / "nothing" / "here", linked(folder, "one", "nothing"), folder / "a"):
        for refuse in (refuse_if_writable_by_others, refuse_if_readable_by_others):
            with pytest.raises(OSError, match=str(path)):
                refuse(path, "here")


def test_a_pipe_of_ours() -> None:
    """A file that a shell passes as ``/dev/fd/3`` has no folder, and counts as ours."""
    reading, writing = os.pipe()
    try:
        refuse_if_writable_by_others(Path(f"/dev/fd/{reading}"), "here")
        refuse_if_readable_by_others(Path(f"/dev/fd/{reading}"), "here")
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    ("mode", "folder_mode", "refused"),
    [
        (0o600, 0o755, False),
        (0o604, 0o755, True),
        (0o644, 0o755, True),
        (0o640, 0o755, True),
        (0o644, 0o700, False),
        (0o644, 0o744, False),
        (0o644, 0o711, True),
    ],
)
def test_what_others_can_read(folder: Path, mode: int, folder_mode: int, refused: bool) -> None:
    """A secret that others can read, and reach through every folder, is refused with what to run."""
    file = tree(folder)
    open_up(file, mode)
    file.parent.chmod(folder_mode)
    if not refused:
        refuse_if_readable_by_others(file, "here")
        return
    with pytest.raises(ConfigError) as raised:
        refuse_if_readable_by_others(file, "here")
    assert str(raised.value) == f"here: {file} can be read by others; run: chmod go-r {file}"


@as_root
def test_what_is_not_ours_to_close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If root's file is readable, that is root's decision, as with the secrets of containers."""
    file = tree(folder)
    monkeypatch.setattr(os, "getuid", lambda: OTHER_USER)
    refuse_if_readable_by_others(file, "here")


def test_who_refuses(folder: Path) -> None:
    """A configuration, a plugin's folder and a secret's file are refused alike, each called what it is."""
    file = tree(folder)
    file.parent.parent.chmod(0o777)
    remedy = rf"{file.parents[1]} is writable by others, so others could replace .*; run: chmod go-w"
    for what, use in (
        (str(file), lambda: load(file)),
        ("plugins", lambda: DropIns([file.parent])),
        ("server.api_keys.me", lambda: find_secret(f"file:{file}", "server.api_keys.me")),
    ):
        with pytest.raises(ConfigError, match=rf"^{what}: {remedy}"):
            use()


def test_a_secret_for_all_to_read(folder: Path) -> None:
    """A key in a file that everyone can read is refused."""
    with pytest.raises(
        ConfigError, match=r"^server\.api_keys\.me: .* can be read by others; run: chmod go-r"
    ):
        find_secret(f"file:{tree(folder)}", "server.api_keys.me")


def test_a_name_that_a_shell_would_split(folder: Path) -> None:
    """The command that fixes it can be pasted, whatever the file is called."""
    file = folder / "my {file}"
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=re.escape(f"run: chmod go-w '{file}'")):
        refuse_if_writable_by_others(file, "here")
