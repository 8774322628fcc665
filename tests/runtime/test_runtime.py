"""One running configuration: what it is built from, and how it starts and stops."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.config import parse
from claude_max_proxy.runtime.runtime import Runtime, find_config, plugin_folders, user_directory
from tests.scripted import plugin_folder, scripted_runtime


SECOND = {"backends": {"second": {"type": "scripted", "status": "degraded"}}}
DUPLICATE_TYPE = """
from claude_max_proxy import hookimpl

@hookimpl
def register_backends(register):
    register("claude-cli", None, None)
"""
DUPLICATE_DIALECT = """
from claude_max_proxy import hookimpl
from claude_max_proxy.dialect import Dialect

class Chat(Dialect):
    name = "openai-chat"
    routes = ("/chat",)
    def open(self, body): ...
    def error(self, error): ...

@hookimpl
def register_dialects(register):
    register(Chat())
"""
FAILING = """
from claude_max_proxy import Backend, Settings, hookimpl

class Failing(Backend):
    def __init__(self, name, settings):
        self.stopped = False
    async def start(self):
        raise OSError("no")
    async def stop(self):
        self.stopped = True
        raise OSError("no again")
    async def answer(self, request, model):
        yield

@hookimpl
def register_backends(register):
    register("failing", Settings, Failing)
"""


def test_nothing_is_started_by_building(tmp_path: Path) -> None:
    """A runtime is built without I/O: a backend is made, and not started."""
    runtime = scripted_runtime(tmp_path)
    backend: Any = runtime.backends["claude"]
    assert (backend.name, backend.calls) == ("claude", [])
    dialects = {"anthropic-messages", "openai-chat", "openai-completions", "openai-responses"}
    assert set(runtime.dialects) == dialects


async def test_start_and_stop(tmp_path: Path) -> None:
    """Every backend is started and stopped."""
    runtime = scripted_runtime(tmp_path, SECOND)
    await runtime.start()
    await runtime.stop()
    backends: list[Any] = list(runtime.backends.values())
    assert [backend.calls for backend in backends] == [["start", "stop"]] * 2


async def test_a_start_that_fails(tmp_path: Path) -> None:
    """If one backend cannot start, all are stopped again, also those that fail to stop."""
    runtime = scripted_runtime(tmp_path, {"backends": {"bad": {"type": "failing"}}}, failing=FAILING)
    with pytest.raises(OSError, match=r"^no$"):
        await runtime.start()
    first: Any = runtime.backends["claude"]
    bad: Any = runtime.backends["bad"]
    assert (first.calls, bad.stopped) == (["start", "stop"], True)


def test_the_models_on_offer(tmp_path: Path) -> None:
    """All names of ``[models]`` except patterns are listed; a model that matches a pattern is described."""
    runtime = scripted_runtime(tmp_path, {"models": {"cheap-*": "claude/x-*", "mine": "claude/opus"}})
    assert "mine" in runtime.models()
    assert not [name for name in runtime.models() if "*" in name]
    info = runtime.describe("cheap-1")
    assert isinstance(info, ModelInfo)
    assert info.name == "scripted-x-1"
    assert runtime.describe("unheard-of") is None


@pytest.mark.parametrize(
    ("statuses", "together"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "degraded"], "degraded"),
        (["unavailable", "ok"], "degraded"),
        (["degraded", "unavailable"], "degraded"),
        (["unavailable", "unavailable"], "unavailable"),
        (["starting", "ok"], "ok"),
    ],
)
def test_health_of_all(tmp_path: Path, statuses: list[str], together: str) -> None:
    """While one backend can answer, the proxy is at worst degraded."""
    tables = {
        name: {"type": "scripted", "status": status}
        for name, status in zip(("claude", "other"), statuses, strict=True)
    }
    health = scripted_runtime(tmp_path, {"backends": tables}).health()
    assert health["status"] == together
    assert health["backends"]["claude"] == {"status": statuses[0]}


@pytest.mark.parametrize(
    ("table", "sources", "message"),
    [
        (
            {"backends": {"x": {"type": "scriptd"}}},
            {},
            "backends.x.type: unknown backend type 'scriptd'; did you mean 'scripted'?",
        ),
        (
            {"backends": {"x": {"type": "scripted", "statu": "ok"}}},
            {},
            "backends.x: unknown key 'statu'; did you mean 'status'?",
        ),
        (
            {"backends": {"claude": {"type": "claude-cli", "wam": 1}}},
            {},
            "backends.claude: unknown key 'wam'; did you mean 'warm'?",
        ),
        (
            {"backends": {"claude": {"type": "claude-cli", "max_processes": 0}}},
            {},
            "backends.claude.max_processes: expected `int` >= 1",
        ),
        (
            {"models": {"x": "cloude/y"}},
            {},
            "models.x: there is no backend 'cloude'; did you mean 'claude'?",
        ),
        (
            {"models": {"x": "sonet"}},
            {},
            (
                'models.x: \'sonet\' is neither "backend/model", as in "claude/sonnet", nor another name; '
                "did you mean 'sonnet'?"
            ),
        ),
        ({"models": {"x": "/sonnet"}}, {}, "models.x: there is no backend ''"),
        ({"models": {"x": "claude/"}}, {}, "models.x: 'claude/' is neither"),
        (
            {"models": {"x": {"to": "opus", "fallback": ["cloude/y"]}}},
            {},
            "models.x: there is no backend 'cloude'",
        ),
        ({"models": {"x": {"to": "opus", "fallback": ["sonet"]}}}, {}, "models.x: 'sonet' is neither"),
        (
            {"models": {"*": "cloude/*"}},
            {},
            "models.\"*\": there is no backend 'cloude'; did you mean 'claude'?",
        ),
        ({"models": {"x": "y", "y": "x"}}, {}, "models.x: the names lead in a circle: x → y → x"),
        ({"models": {"a-*": "b-*", "b-*": "a-*"}}, {}, 'models."a-*": the names lead in a circle: a-* → b-*'),
        ({"models": {"a-*": "a-a-*"}}, {}, 'models."a-*": the names lead in a circle: a-* → a-*'),
        (
            {"models": {"x": {"to": "opus", "fallback": ["x"]}}},
            {},
            "models.x: the names lead in a circle: x → x",
        ),
        (
            {"plugins": {"redactor": {}}},
            {"redact": ""},
            "plugins.redactor: there is no plugin 'redactor'; did you mean 'redact'?",
        ),
        ({}, {"model_map": ""}, "two plugins are named 'model_map' (built-in, "),
        ({}, {"other": DUPLICATE_TYPE}, "two plugins offer the backend type 'claude-cli'"),
        ({}, {"other": DUPLICATE_DIALECT}, "two plugins offer the dialect 'openai-chat'"),
    ],
)
def test_what_cannot_be_built(
    tmp_path: Path, table: dict[str, Any], sources: dict[str, str], message: str
) -> None:
    """A configuration with contradictions is an error that says where."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        scripted_runtime(tmp_path, table, **sources)


SETTINGS = """
from claude_max_proxy import Settings as Table, hookimpl

class Settings(Table, frozen=True):
    word: str = "none"

@hookimpl
def rewrite_request(request, settings):
    request.system = settings.word
"""


def test_a_drop_ins_settings(tmp_path: Path) -> None:
    """A drop-in's table is its own ``Settings``, and a mistake in it is reported with its path."""
    (tmp_path / "a").mkdir()
    runtime = scripted_runtime(tmp_path / "a", {"plugins": {"say": {"word": "hi"}}}, say=SETTINGS)
    assert [plugin.settings.word for plugin in runtime.plugins if plugin.name == "say"] == ["hi"]
    (tmp_path / "b").mkdir()
    with pytest.raises(ConfigError, match=r"plugins\.say\.word: expected `str`, got `int`"):
        scripted_runtime(tmp_path / "b", {"plugins": {"say": {"word": 1}}}, say=SETTINGS)


def test_where_drop_ins_are(tmp_path: Path) -> None:
    """Folders are next to ``proxy.toml``, without one in the user's directory, or where the setting says."""
    table = {"plugins": {"paths": ["mine", str(tmp_path / "far"), "~/near"]}}
    beside = plugin_folders(parse(table, tmp_path / "proxy.toml"))
    assert beside == [tmp_path / "mine", tmp_path / "far", Path("~/near").expanduser()]
    assert plugin_folders(parse({}, None)) == [user_directory() / "plugins"]


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that is given is used, else the one in this folder, else the user's, else none."""
    here, user = tmp_path / "here", tmp_path / "user"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user))
    monkeypatch.setenv("HOME", str(user))
    assert find_config("x.toml") == Path("x.toml")
    assert find_config(None) is None
    user_directory().mkdir(parents=True)
    own = user_directory() / "proxy.toml"
    own.touch()
    assert find_config(None) == own
    (here / "proxy.toml").touch()
    assert find_config(None) == here / "proxy.toml"


def test_hidden_names(tmp_path: Path) -> None:
    """A hidden name works and is described, but is not listed."""
    runtime = scripted_runtime(tmp_path, {"models": {"secret": {"to": "claude/x", "hidden": True}}})
    assert "secret" not in runtime.models()
    assert runtime.describe("secret") is not None


EXPECTING = """
from claude_max_proxy import Backend, Settings, hookimpl

class Expecting(Backend):
    def __init__(self, name, settings):
        self.name, self.heard, self.before = name, [], None
    def expect(self, models):
        self.heard.append(sorted(models))
    def take_over(self, before):
        self.before = before
    async def start(self):
        self.heard.append("start")
    async def answer(self, request, model):
        yield

class Table(Settings, frozen=True):
    size: int = 1

@hookimpl
def register_backends(register):
    register("expecting", Table, Expecting)
"""


async def test_what_a_backend_hears(tmp_path: Path) -> None:
    """At each start a backend learns which models lead to it, and a new backend which one it replaces."""

    def table(size: int, **models: str) -> dict[str, Any]:
        plugins = {"paths": [str(tmp_path / "plugins")]}
        backends = {"claude": {"type": "scripted"}, "mine": {"type": "expecting", "size": size}}
        return {"models": models, "plugins": plugins, "backends": backends}

    plugin_folder(tmp_path, expecting=EXPECTING)
    first = Runtime(parse(table(1), None))
    await first.start()
    second = Runtime(parse(table(1, x="mine/a"), None), first)
    await second.start()
    third = Runtime(parse(table(2, x="mine/a"), None), second)
    await third.start()

    old: Any = first.backends["mine"]
    new: Any = third.backends["mine"]
    kept: Any = second.backends["mine"]
    assert kept is old
    assert old.heard == [[], "start", ["a"]]
    assert new.heard == [["a"], "start"]
    assert (old.before, new.before) == (None, old)


def test_what_is_taken_over(tmp_path: Path) -> None:
    """A backend is kept as long as its type and settings stay the same; otherwise a new one is made."""
    table = {"backends": {"second": {"type": "scripted"}}}
    before = scripted_runtime(tmp_path, table)

    def after(backends: dict[str, Any]) -> Runtime:
        config = before.config
        return Runtime(msgspec.structs.replace(config, backends={**config.backends, **backends}), before)

    same = after({})
    assert same.backends == before.backends
    assert (same.breakers, same.rates) == (before.breakers, before.rates)
    changed = after({"second": {"type": "scripted", "status": "degraded"}})
    assert changed.backends["claude"] is before.backends["claude"]
    assert changed.backends["second"] is not before.backends["second"]


BUILDS = """
from claude_max_proxy import Backend, Settings, hookimpl

class Plain(Backend):
    def __init__(self, name, settings): ...
    async def answer(self, request, model):
        yield

@hookimpl
def register_backends(register):
    kept = []
    register("class", Settings, Plain)
    register("lambda", Settings, lambda name, settings: Plain(name, settings))
    register("closure", Settings, lambda name, settings: Plain(name, kept))
"""


def test_how_a_backend_is_made_counts(tmp_path: Path) -> None:
    """A backend is kept while the code that makes it is the same, and not if its file changed."""
    names = ("class", "lambda", "closure")
    before = scripted_runtime(tmp_path, {"backends": {name: {"type": name} for name in names}}, builds=BUILDS)
    same = Runtime(before.config, before)
    assert [same.backends[name] is before.backends[name] for name in names] == [True, True, False]
    (tmp_path / "plugins" / "builds.py").write_text(BUILDS + "\n")
    changed = Runtime(before.config, same)
    assert [changed.backends[name] is same.backends[name] for name in names] == [False, False, False]


async def test_what_is_still_used_goes_on(tmp_path: Path) -> None:
    """Starting does not affect what runs already, and stopping not what others still use."""
    before = scripted_runtime(tmp_path, SECOND)
    await before.start()
    backends = {"claude": {"type": "scripted"}, "third": {"type": "scripted"}}
    after = Runtime(msgspec.structs.replace(before.config, backends=backends), before)
    await after.start()
    await before.stop(list(after.backends.values()))
    used: dict[str, Any] = {**before.backends, **after.backends}
    calls = {name: backend.calls for name, backend in used.items()}
    assert calls == {"claude": ["start"], "second": ["start", "stop"], "third": ["start"]}


def test_health_tells_problems(tmp_path: Path) -> None:
    """Health says why a newer configuration or plugin is not in force."""
    runtime = scripted_runtime(tmp_path, broken="1 / 0")
    runtime.problem = "proxy.toml is broken"
    health = runtime.health()
    assert health["config_problem"] == "proxy.toml is broken"
    assert "ZeroDivisionError" in health["plugin_problems"]["broken"]


def test_a_plugin_that_must_not_fail(tmp_path: Path) -> None:
    """A plugin whose ``on_error`` is "fail" keeps a configuration from being used when it is broken."""
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        scripted_runtime(tmp_path, {"plugins": {"guard": {"on_error": "fail"}}}, guard="1 / 0")
