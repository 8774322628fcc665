"""The code blocks of ``docs/writing-plugins.md``, unchanged: plugins that work, and their tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from claude_max_proxy import events
from claude_max_proxy.config import parse
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app


ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_CONFIG = {
    "backends": {"mirror": {"type": "echo"}, "own": {"type": "local"}},
    "models": {"echo": "mirror/any", "own": "own/any"},
}
# The names by which the tests on the page import the plugins, and a text by which each is recognised.
_NAMES = {"local": "class Local(", "questions": "class Questions(", "thoughtless": "async def wrap_events("}


def blocks() -> list[str]:
    """Return every block of Python on the page."""
    return _BLOCK.findall((ROOT / "docs" / "writing-plugins.md").read_text("utf-8"))


def plugins_shown() -> list[str]:
    """Return the plugins on the page."""
    return [block for block in blocks() if "@proxy.hookimpl" in block]


def author_tests() -> list[str]:
    """Return the tests on the page."""
    return [block for block in blocks() if "def test_" in block]


def block_of(name: str) -> str:
    """Return the plugin that the page's tests import by this name."""
    (found,) = [block for block in plugins_shown() if _NAMES[name] in block]
    return found


def package(folder: Path) -> Path:
    """Write a package of the plugins that the page's tests import, with the tests next to it."""
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").touch()
    for name in _NAMES:
        (folder / "my_package" / f"{name}.py").write_text(block_of(name), "utf-8")
    for number, block in enumerate(author_tests()):
        (folder / f"test_{number}.py").write_text(block, "utf-8")
    return folder


def test_nothing_is_left_out() -> None:
    """Every block is a plugin or a test, so the other tests in this file cover all of them."""
    assert set(blocks()) == {*plugins_shown(), *author_tests()}
    assert len(author_tests()) == 1


@pytest.mark.parametrize("number", range(len(plugins_shown())))
def test_a_plugin(number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every plugin shown loads as a drop-in, with a hook."""
    (tmp_path / "shown.py").write_text(plugins_shown()[number], "utf-8")
    runtime = Runtime(parse({"plugins": {"paths": [str(tmp_path)]}}, None))
    assert [plugin.origin for plugin in runtime.plugins if plugin.name == "shown"] == [f"{tmp_path}/shown.py"]
    assert caplog.records == []


async def test_at_work(tmp_path: Path) -> None:
    """The backend and the dialect answer together, whole and streamed, as the page says."""
    for name in _NAMES:
        (tmp_path / f"{name}.py").write_text(block_of(name), "utf-8")
    paths = [str(tmp_path), str(ROOT / "plugins")]
    application = build_app(Runtime(parse({**_CONFIG, "plugins": {"paths": paths}}, None)))
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3456") as http:
        question = {"model": "echo", "question": "Why not?"}
        assert (await http.post("/v1/questions", json=question)).json() == {"answer": "Why not?"}
        streamed = await http.post("/v1/questions", json={**question, "stream": True})
        assert streamed.text == 'data: {"text":"Why"}\n\ndata: {"text":" not?"}\n\n'
        refused = await http.post("/v1/questions", json={"model": "echo"})
        assert (refused.status_code, refused.json()) == (400, {"error": "question is missing"})

        chat = {
            "messages": [{"role": "user", "content": "hi"}],
            "grammar": "g",
            "mirostat": 1,
            "verbosity": "low",
        }
        own = await http.post("/v1/chat/completions", json={**chat, "model": "own"})
        told = own.json()["choices"][0]["message"]["content"]
        assert {"'grammar': 'g'", "'mirostat': 1"} <= set(told.strip("{}").split(", "))
        assert own.headers["x-proxy-ignored"] == "verbosity"
        other = await http.post("/v1/chat/completions", json={**chat, "model": "echo"})
        assert "follows no grammar" in other.json()["error"]["message"]


@pytest.mark.slow
def test_the_tests(tmp_path: Path) -> None:
    """The tests on the page pass, with the plugins on the page."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package(tmp_path))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.slow
def test_the_types(tmp_path: Path) -> None:
    """Everything on the page passes the strictest type check."""
    folder = package(tmp_path)
    for number, block in enumerate(plugins_shown()):
        (folder / f"plugin_{number}.py").write_text(block, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={ROOT / '.mypy_cache'}", "."],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_events_of_the_page() -> None:
    """The order of events on the page is the one in the code's docstring."""
    page = (ROOT / "docs" / "writing-plugins.md").read_text("utf-8")
    order = "Started · (PartStarted · PartDelta* · PartEnded)* · Usage? · (Finished | Failed)"
    assert order in page
    for name in re.findall(r"[A-Z]\w+", order):
        assert issubclass(getattr(events, name), msgspec.Struct)
