"""Plugins: order, settings, failures, and the hooks one by one."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import types
from typing import Any

import click
import pytest

from claude_max_proxy import Config, ConfigError, InvalidRequest, Record, Request, Settings, Target, hookimpl
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.errors import InternalError
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import BUILT_INS, Plugins, load_built_ins
from tests.scripted import scripted_context


def module(name: str, *functions: Any, **members: Any) -> Plugin:
    """Return a plugin that consists of these functions."""
    made = types.ModuleType(name)
    for function in functions:
        setattr(made, function.__name__, function)
    for key, value in members.items():
        setattr(made, key, value)
    return Plugin(name, made, "test")


def rewriter(name: str, says: str | Exception, *, wait: float | None = None, **options: Any) -> Plugin:
    """Return a plugin that adds its words to the instructions, or fails, at once or after a wait."""

    def act(request: Request) -> None:
        if isinstance(says, Exception):
            raise says
        request.system += says

    def at_once(request: Request) -> None:
        act(request)

    async def later(request: Request) -> None:
        await asyncio.sleep(wait or 0)
        act(request)

    function: Any = at_once if wait is None else later
    return module(name, rewrite_request=hookimpl(function, **options))


def registering(*_: Any, **__: Any) -> None:
    """Take whatever a plugin registers."""


def plugins(*loaded: Plugin, order: list[str] | None = None, **tables: Any) -> Plugins:
    """Register ``loaded`` under ``[plugins]``."""
    return Plugins(loaded, PluginsConfig(order=order or [], tables=tables))


async def rewritten(used: Plugins) -> str:
    """Return what the plugins make of empty instructions."""
    request = Request("m")
    await used.rewrite_request(request)
    return request.system


# --- order


async def test_the_last_registered_is_first() -> None:
    """Without an order, a drop-in comes before the built-ins, which register first."""
    assert await rewritten(plugins(rewriter("a", "a"), rewriter("b", "b"))) == "ba"


@pytest.mark.parametrize(("order", "result"), [(["a", "b", "c"], "abc"), (["c", "a"], "cab"), (["b"], "bca")])
async def test_the_order_that_is_asked_for(order: list[str], result: str) -> None:
    """Plugins named in ``order`` are called in that order, before all others."""
    assert result == await rewritten(plugins(*(rewriter(name, name) for name in "abc"), order=order))


async def test_first_and_last() -> None:
    """A hook may ask to be called before or after the others."""
    used = plugins(rewriter("a", "a", tryfirst=True), rewriter("b", "b"), rewriter("c", "c", trylast=True))
    assert await rewritten(used) == "abc"


def test_the_plugins_in_use_can_be_listed() -> None:
    """Iterating yields the plugins in use, without those that are disabled."""
    used = plugins(rewriter("a", "a"), rewriter("b", "b"), a={"enabled": False})
    assert [plugin.name for plugin in used] == ["b"]


# --- calls


async def test_sync_and_async() -> None:
    """A hook may be ``def`` or ``async def``, and both keep their place."""
    used = plugins(rewriter("a", "a"), rewriter("b", "b", wait=0.01), rewriter("c", "c"))
    assert await rewritten(used) == "cba"


async def test_the_first_answer_wins() -> None:
    """``map_model`` asks in order until an answer is not None, and asks no further."""
    asked = []

    def mapper(name: str, answer: Target | str | None) -> Plugin:
        @hookimpl
        async def map_model(request: Request, config: Config) -> Target | str | None:
            asked.append(name)
            return answer

        return module(name, map_model)

    used = plugins(mapper("a", "x/y"), mapper("b", Target("b", "m")), mapper("c", None))
    assert await used.map_model(Request("m"), Config()) == Target("b", "m")
    assert asked == ["c", "b"]


async def test_nobody_answers() -> None:
    """Without an implementation there is no answer."""
    assert await plugins().map_model(Request("m"), Config()) is None
    assert await plugins().select_backend(Request("m"), Target("a", "m"), {}) is None


async def test_arguments_by_name() -> None:
    """A hook may have any of the arguments, in any order, or none."""
    seen: list[Any] = []

    @hookimpl
    def select_backend(settings: Any, backends: Any) -> str:
        seen.append((settings, backends))
        return "x"

    @hookimpl
    def rewrite_request() -> None:
        seen.append("none")

    used = plugins(module("a", select_backend, rewrite_request))
    assert await used.select_backend(Request("m"), Target("a", "m"), {}) == "x"
    await used.rewrite_request(Request("m"))
    assert seen == [(None, {}), "none"]


def test_commands_are_added() -> None:
    """A plugin may add subcommands."""

    @hookimpl
    def register_commands(cli: click.Group) -> None:
        cli.add_command(click.Command("extra"))

    group = click.Group()
    plugins(module("a", register_commands)).register_commands(group)
    assert list(group.commands) == ["extra"]


# --- failures


@pytest.mark.parametrize("wait", [None, 0.0])
async def test_a_failure_is_skipped(caplog: pytest.LogCaptureFixture, wait: float | None) -> None:
    """A plugin that raises is logged with its name and its own frames, counted, and stops no other."""
    broken = rewriter("broken", KeyError("oops"), wait=wait)
    used = plugins(rewriter("a", "a"), broken, rewriter("c", "c"))
    assert await rewritten(used) == "ca"
    assert broken.failures == 1
    assert "plugin 'broken' failed in rewrite_request: KeyError('oops')" in caplog.text
    assert "raise says" in caplog.text


async def test_a_failure_that_is_fatal() -> None:
    """With ``on_error = "fail"`` the request fails as the plugin's fault, but not with its message."""
    used = plugins(rewriter("broken", KeyError("secret")), broken={"on_error": "fail"})
    with pytest.raises(InternalError, match="plugin 'broken' failed in rewrite_request") as caught:
        await rewritten(used)
    assert caught.value.code == "plugin_failed"
    assert "secret" not in caught.value.message


async def test_a_refusal_is_no_failure() -> None:
    """A plugin refuses a request by raising one of our errors, which the client gets unchanged."""
    broken = rewriter("strict", InvalidRequest("not here"))
    with pytest.raises(InvalidRequest, match="not here"):
        await rewritten(plugins(broken))
    assert broken.failures == 0


@pytest.mark.parametrize(("policy", "result"), [("skip", "a"), ("fail", None)])
async def test_a_hook_that_overruns(policy: str, result: str | None) -> None:
    """An async hook that takes longer than its ``timeout`` is a failure like any other."""
    slow = rewriter("slow", "slow", wait=30)
    used = plugins(rewriter("a", "a"), slow, slow={"timeout": 0.01, "on_error": policy})
    if result is None:
        with pytest.raises(InternalError, match="'slow'"):
            await rewritten(used)
    else:
        assert await rewritten(used) == result
    assert slow.failures == 1


@pytest.mark.parametrize("error", [ValueError("x"), InvalidRequest("x")])
@pytest.mark.parametrize("policy", ["skip", "fail"])
async def test_observers_do_not_matter(
    error: Exception, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an observer raises, the others get the record, and nothing else happens."""
    heard = []

    @hookimpl
    def log_request(record: Record) -> None:
        heard.append(record.model)

    @hookimpl
    async def failing(record: Record) -> None:
        raise error

    broken = module("broken", log_request=failing)
    used = plugins(module("a", log_request), broken, broken={"on_error": policy})
    await used.log_request(Record("m"))
    assert heard == ["m"]
    assert "plugin 'broken' failed in log_request" in caplog.text


def test_a_registration_that_fails() -> None:
    """What a plugin raises while it registers is reported in its name; a ConfigError is passed on."""

    @hookimpl
    def register_backends(register: Any) -> None:
        raise KeyError("oops")

    with pytest.raises(ConfigError, match="plugin 'a' failed in register_backends: KeyError"):
        plugins(module("a", register_backends)).register_backends(registering)

    @hookimpl
    def register_dialects(register: Any) -> None:
        raise ConfigError("as it is")

    with pytest.raises(ConfigError, match=r"^as it is$"):
        plugins(module("a", register_dialects)).register_dialects(registering)


# --- what cannot be registered


def test_an_unknown_hook() -> None:
    """A hook that does not exist is an error that names the plugin and the hook."""

    @hookimpl
    def rewrite_requests(request: Request) -> None: ...

    with pytest.raises(ConfigError, match=r"plugin 'a' \(test\): .*rewrite_requests"):
        plugins(module("a", rewrite_requests))


def test_an_unknown_argument() -> None:
    """A hook with an unknown argument is an error that names the argument."""

    @hookimpl
    def rewrite_request(question: Request) -> None: ...

    with pytest.raises(ConfigError, match=r"plugin 'a' \(test\): .*question"):
        plugins(module("a", rewrite_request))


def test_two_of_one_name() -> None:
    """Two plugins cannot have the same name, and both are named."""
    with pytest.raises(ConfigError, match=r"two plugins are named 'a' \(test, test\)"):
        plugins(rewriter("a", "a"), rewriter("a", "b"))


# --- settings


class Limits(Settings, frozen=True):
    """The settings of the plugin below."""

    words: list[str] = []


async def test_settings_are_converted() -> None:
    """A plugin's table is passed to it as its own ``Settings``."""
    seen = []

    @hookimpl
    def rewrite_request(settings: Limits) -> None:
        seen.append(settings)

    plugin = module("a", rewrite_request, Settings=Limits)
    await rewritten(plugins(plugin, a={"words": ["x"], "timeout": 1.0}))
    assert seen == [Limits(words=["x"])]
    assert plugin.policy.timeout == 1.0


@pytest.mark.parametrize(
    ("members", "tables", "message"),
    [
        ({"Settings": Limits}, {"a": {"word": []}}, "plugins.a: unknown key 'word'; did you mean 'words'?"),
        ({"Settings": Limits}, {"a": {"words": 1}}, "plugins.a.words: expected `array`, got `int`"),
        ({}, {"a": {"words": []}}, "plugins.a: this plugin has no settings, but 'words' is set"),
        ({"Settings": Settings}, {"a": {"words": []}}, "plugins.a: this plugin has no settings"),
        ({}, {"a": {"timeout": 0}}, "plugins.a.timeout: expected `float` > 0.0"),
        ({}, {"aa": {}}, "plugins.aa: there is no plugin 'aa'; did you mean 'a'?"),
    ],
)
def test_wrong_settings(members: dict[str, Any], tables: dict[str, Any], message: str) -> None:
    """A table that does not fit the plugin's settings is an error with its path."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        plugins(module("a", **members), **tables)


def test_an_order_of_nobody() -> None:
    """Every name in ``order`` must be a plugin."""
    with pytest.raises(ConfigError, match=r"plugins\.order: there is no plugin 'bb'"):
        plugins(rewriter("b", "b"), order=["bb"])


# --- built-ins


def test_the_built_ins_load() -> None:
    """Every built-in can be imported and registered, with a distinct name."""
    loaded = load_built_ins()
    assert len({plugin.name for plugin in loaded}) == len(BUILT_INS)
    assert {plugin.origin for plugin in plugins(*loaded)} == {"built-in"}


def test_hooks_are_quiet_when_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged for a hook without implementations."""
    with caplog.at_level(logging.DEBUG):
        plugins().register_backends(registering)
    assert not caplog.records


# --- announcements


def listener(name: str, heard: list[Any], *, error: Exception | None = None) -> Plugin:
    """Return a plugin that records configurations and the shutdown."""

    @hookimpl
    async def configured(old: Config | None, new: Config, settings: Any) -> None:
        heard.append((name, old, new))
        if error is not None:
            raise error

    @hookimpl
    def shutdown() -> None:
        heard.append((name, "shutdown"))
        if error is not None:
            raise error

    return module(name, configured, shutdown)


async def test_configured_and_shutdown() -> None:
    """All plugins learn of a new configuration, of the one it replaces, and of the end, unless still used."""
    heard: list[Any] = []
    one, two = listener("one", heard), listener("two", heard, error=InvalidRequest("x"))
    used = plugins(one, two, two={"on_error": "fail"})
    old, new = Config(), Config()
    await used.configured(old, new, scripted_context(new, used, {}))
    assert heard == [("two", old, new), ("one", old, new)]
    heard.clear()
    await used.shutdown([one.module])
    assert heard == [("two", "shutdown")]
    await used.shutdown()
    assert heard[1:] == [("two", "shutdown"), ("one", "shutdown")]
    assert two.failures == 3


async def test_select_backend_hears_the_target() -> None:
    """``select_backend`` is told where the request would go, with all settings of its name."""
    seen = []

    @hookimpl
    def select_backend(target: Target) -> None:
        seen.append(target)

    target = Target("a", "m", effort="low")
    assert await plugins(module("a", select_backend)).select_backend(Request("m"), target, {}) is None
    assert seen == [target]


def test_the_hooks_of_a_plugin() -> None:
    """A plugin's hooks can be listed by name."""
    plugin = listener("one", [])
    assert plugins(plugin).hooks(plugin) == ["configured", "shutdown"]


def test_a_broken_plugin_is_known() -> None:
    """A plugin that could not be imported is known but not in use; ``order`` and tables may name it."""
    broken = Plugin("broken", None, "test", problem="why")
    used = plugins(broken, rewriter("a", "a"), order=["broken"], broken={"anything": 1})
    assert [plugin.name for plugin in used.found] == ["broken", "a"]
    assert [plugin.name for plugin in used] == ["a"]
    assert used.hooks(broken) == []


async def test_a_slow_function_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A plain hook cannot be interrupted, so the log says that it blocked everything."""

    @hookimpl
    def rewrite_request(request: Request) -> None:
        time.sleep(0.02)  # noqa: TID251  # what a plugin should not do

    await rewritten(plugins(module("slow", rewrite_request), slow={"timeout": 0.01}))
    assert "plugin 'slow' held everything up in rewrite_request" in caplog.text
