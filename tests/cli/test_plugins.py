"""``claude-max-proxy plugins``: the list, a new plugin, and one that was installed as a wheel."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.commands import plugins
from claude_max_proxy.config import load
from claude_max_proxy.plugin.plugins import BUILT_INS
from claude_max_proxy.runtime.runtime import Runtime
from tests.cli.configuring.written import SECRET, SETTINGS
from tests.cli.test_commands import command, configuration
from tests.plugin.test_drop_ins import HOOK


ROOT = Path(__file__).parents[2]


def table(*words: str) -> tuple[dict[str, list[str]], str]:
    """Run ``plugins``, and return its rows by the plugin's name, and the whole output."""
    output = CliRunner().invoke(plugins, words, catch_exceptions=False, standalone_mode=False).output
    rows = [line.split() for line in output.split("\n\n", maxsplit=1)[0].splitlines()]
    assert rows[0] == ["PLUGIN", "STATE", "ORIGIN", "HOOKS", "SETTINGS"]
    return {row[0]: row[1:] for row in rows[1:]}, output


def added(*words: str) -> str:
    """Run ``plugins add``, and return what it prints."""
    return CliRunner().invoke(plugins, ["add", *words], catch_exceptions=False, standalone_mode=False).output


def test_what_comes_along() -> None:
    """Without a name, every shipped plugin is listed with what it does."""
    listed = {line.split()[0] for line in added().splitlines()[1:]}
    assert listed == {file.stem for file in (ROOT / "plugins").glob("*.py")}


def test_one_that_comes_along(tmp_path: Path) -> None:
    """A shipped plugin is copied into the folder of proxy.toml, unchanged, and is in use from then on."""
    file = configuration(tmp_path, "")
    assert str(tmp_path / "plugins" / "openclaw_context.py") in added("openclaw_context", "-c", str(file))
    shipped = (ROOT / "plugins" / "openclaw_context.py").read_text()
    assert (tmp_path / "plugins" / "openclaw_context.py").read_text() == shipped
    assert table("-c", str(file))[0]["openclaw_context"][0] == "on"


@pytest.mark.parametrize(("name", "message"), [("openclaw", "did you mean"), ("shadow", "already exists")])
def test_what_cannot_be_added(tmp_path: Path, name: str, message: str) -> None:
    """An unknown name, and a file that already exists, are refused."""
    file = configuration(tmp_path, "")
    (tmp_path / "plugins" / "shadow.py").write_text("")
    with pytest.raises(ConfigError, match=message):
        added(name, "-c", str(file))


def test_the_list(tmp_path: Path) -> None:
    """Each plugin is listed with its state, its origin, its hooks, its settings, and what is wrong."""
    file = configuration(tmp_path, f'plugins.off.enabled = false\nplugins.say.api_token = "{SECRET}"\n')
    folder = tmp_path / "plugins"
    sources = {
        "off": HOOK,
        "say": SETTINGS,
        "broken": "1 / 0",
        "two": HOOK + HOOK.replace("rewrite_", "log_"),
    }
    sources["two"] = sources["two"].replace("log_request(request)", "log_request(record)")
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
        (folder / f"{name}.py").chmod(0o600)
    rows, output = table("-c", str(file))
    assert len(rows) == len(BUILT_INS) + len(sources) + 1
    assert rows["model_map"] == ["on", "built-in", "map_model", "-"]
    assert rows["off"] == ["off", f"{folder}/off.py", "-", "-"]
    assert rows["say"] == ["on", f"{folder}/say.py", "rewrite_request", "api_token"]
    assert rows["broken"] == ["broken", f"{folder}/broken.py", "-", "-"]
    assert rows["two"] == ["on", f"{folder}/two.py", "log_request", "rewrite_request", "-"]
    assert f"{folder}/broken.py:1: the plugin cannot be imported: ZeroDivisionError" in output
    assert SECRET not in output


# --- a new one


def new(*words: str) -> str:
    """Run ``plugins new``."""
    result = CliRunner().invoke(plugins, ["new", *words], catch_exceptions=False, standalone_mode=False)
    return result.output


def test_a_new_plugin_works(tmp_path: Path) -> None:
    """The file that is written is a plugin that loads and has settings, and its test passes unchanged."""
    folder = tmp_path / "plugins"
    assert "greet.py" in new("greet", "--folder", str(folder))
    file = tmp_path / "proxy.toml"
    file.write_text('[plugins.greet]\ngreeting = "Hello."\n')
    runtime = Runtime(load(file))
    assert [plugin.settings.greeting for plugin in runtime.plugins if plugin.name == "greet"] == ["Hello."]
    assert stat.S_IMODE((folder / "greet.py").stat().st_mode) == 0o644
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "_test_greet.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("name", ["Greet", "1st", "a-b", "../x", "", "a.b"])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    """A plugin's name must be one that Python can import."""
    with pytest.raises(ConfigError, match="cannot be a plugin's name"):
        new(name, "--folder", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_is_there(tmp_path: Path) -> None:
    """No existing file is overwritten."""
    (tmp_path / "greet.py").write_text("precious")
    with pytest.raises(ConfigError, match=r"greet\.py already exists"):
        new("greet", "--folder", str(tmp_path))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("greet.py", "precious")]


def test_where_a_new_one_goes(tmp_path: Path) -> None:
    """Without a folder, a new plugin is written where shipped ones are copied to, and is in use at once."""
    file = configuration(tmp_path, "")
    said = new("greet", "--config", str(file))
    assert str(tmp_path / "plugins" / "greet.py") in said
    assert "a running proxy uses it within a second" in said
    assert table("-c", str(file))[0]["greet"][0] == "on"
    (tmp_path / "proxy.toml").write_text("[plugins]\npaths = []\n")
    with pytest.raises(ConfigError, match="names no folder for plugins"):
        new("greet", "--config", str(file))


@pytest.mark.slow
def test_a_new_plugin_is_typed(tmp_path: Path) -> None:
    """The plugin and its test pass the strictest type check unchanged."""
    new("greet", "--folder", str(tmp_path))
    files = [str(tmp_path / name) for name in ("greet.py", "_test_greet.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={ROOT / '.mypy_cache'}", *files],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_folder(tmp_path: Path) -> None:
    """If the folder cannot be made, the error is one sentence."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        new("greet", "--folder", str(tmp_path / "file"))


# --- a wheel


MODULE = """
from claude_max_proxy import Settings, hookimpl
from claude_max_proxy.backend import Backend, ModelInfo
import claude_max_proxy as proxy


class Third(Backend):
    def __init__(self, name, settings): ...
    async def start(self): ...
    async def stop(self): ...
    async def answer(self, request, model):
        yield proxy.Started(model)
        yield proxy.PartStarted(0, "text")
        yield proxy.PartDelta(0, "third")
        yield proxy.PartEnded(0)
        yield proxy.Finished("stop")
    def describe(self, model):
        return ModelInfo(model)
    def health(self):
        return {"status": "ok"}


@hookimpl
def register_backends(register):
    register("third-party", Settings, Third)
"""
CHECK = """
import asyncio
from some_third_party import Third
from claude_max_proxy.testing.conformance import check_backend

asyncio.run(check_backend(lambda: Third("x", None)))
"""


def wheel(folder: Path) -> Path:
    """Return a wheel as any author might publish it, with a plugin at its entry point."""
    path = folder / "some_third_party-1.0-py3-none-any.whl"
    information = "some_third_party-1.0.dist-info"
    files = {
        "some_third_party.py": MODULE,
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: some-third-party\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": "[claude_max_proxy]\nthird = some_third_party\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{information}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in [*files.items(), (f"{information}/RECORD", record)]:
            archive.writestr(name, text)
    return path


def test_an_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that was installed with pip is found, listed, checked as a backend, and used."""
    site = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", *install, "--target", str(site), str(wheel(tmp_path))],
        check=True,
        timeout=60,
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    (tmp_path / "proxy.toml").write_text('[backends.mine]\ntype = "third-party"\n[models]\nmine = "mine/x"\n')
    listed = command("plugins", folder=tmp_path)
    assert listed.returncode == 0, listed.stderr
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert ["third", "on", "package", "some-third-party", "register_backends", "-"] in rows
    used = command("models", folder=tmp_path)
    assert ["mine", "mine", "x", "-", "-"] in [line.split()[:5] for line in used.stdout.splitlines()]
    checked = subprocess.run(
        [sys.executable, "-c", CHECK], check=False, capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr
