"""How a configuration is read from its files: once, and never older than its stamps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_max_proxy.config import Config, load
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.server.reloading.reading import Reading, read
from tests.server.live_proxy import TOML, LiveProxy


class Loads:
    """Loads a file, counts how often and on which threads, and does something after each load."""

    def __init__(self, file: Path) -> None:
        """Prepare to load ``file``."""
        self.threads: list[threading.Thread] = []
        self.afterwards: list[Callable[[], object]] = []
        self._file = file

    def __call__(self) -> Config:
        """Load the file."""
        self.threads.append(threading.current_thread())
        config = load(self._file)
        if self.afterwards:
            self.afterwards.pop(0)()
        return config


def write(file: Path, text: str) -> None:
    """Save a configuration that nobody else may read."""
    file.write_text(text)
    file.chmod(0o600)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with a configuration."""
    file = tmp_path / "proxy.toml"
    write(file, "[server]\nport = 4001\n")
    return file


def test_files_that_stay(file: Path) -> None:
    """Files that are the same as before, and that nobody writes meanwhile, are read once."""
    first = read(Loads(file), None)
    write(file, "[server]\nport = 4002\n")
    loads = Loads(file)
    second = read(loads, first.watched)
    assert len(loads.threads) == 1
    assert second.config.server.port == 4002
    assert second.stamps == second.watched.stamps() != first.stamps


def test_a_change_meanwhile(file: Path) -> None:
    """What is written while a file is read is read too, or its stamp would hide it for ever."""
    first = read(Loads(file), None)
    loads = Loads(file)
    loads.afterwards = [lambda: write(file, "[server]\nport = 40003\n")]
    second = read(loads, first.watched)
    assert len(loads.threads) == 2
    assert second.config.server.port == 40003
    assert second.stamps == second.watched.stamps()


def test_another_file(file: Path, tmp_path: Path) -> None:
    """A secret's file that was not part of the configuration before is read after its stamp was taken."""
    first = read(Loads(file), None)
    secret = tmp_path / "secret"
    write(secret, "old")
    write(file, f'[server]\nport = 4001\napi_keys = {{ me = "file:{secret}" }}\n')
    loads = Loads(file)
    loads.afterwards = [lambda: write(secret, "newest")]
    second = read(loads, first.watched)
    assert len(loads.threads) == 2
    assert second.stamps == second.watched.stamps()
    assert secret in second.stamps


def followed(first: Reading, second: Reading) -> Reading:
    """Return what comes into force after ``first``."""
    return second.after(first.config, first.shared, empty=first.empty)


def test_what_waits_for_another_start(file: Path) -> None:
    """The address stays, and what the file says of it waits for another start."""
    first = read(Loads(file), None)
    write(file, '[server]\nport = 4002\nhost = "127.0.0.2"\n')
    now = followed(first, read(Loads(file), first.watched))
    assert now.waiting == ["server.host", "server.port"]
    assert (now.config.server.host, now.config.server.port) == ("127.0.0.1", 4001)


def test_an_emptied_file(file: Path) -> None:
    """A file that was emptied is no configuration, unless it was empty from the start."""
    first = read(Loads(file), None)
    write(file, "# nothing\n")
    second = read(Loads(file), first.watched)
    assert second.empty
    with pytest.raises(ConfigError, match="is empty or gone; restart the proxy"):
        followed(first, second)
    assert followed(second, second).config == second.config


async def test_a_reload(tmp_path: Path) -> None:
    """A reload reads the configuration once, and not on the thread of the event loop."""
    proxy = LiveProxy(tmp_path)
    loads = Loads(proxy.file)
    proxy.live._load = loads
    async with proxy.serving():
        proxy.write(TOML.replace("echo", "other"))
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200
    assert [thread.name for thread in loads.threads] == ["read-configuration"]
