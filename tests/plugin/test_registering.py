"""What plugins can register, which settings they have, and what they are told."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import pytest

from claude_max_proxy import Config, ConfigError, InvalidRequest, Request, Settings, Target, hookimpl
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import BUILT_INS, load_built_ins
from tests.plugin.plugging import module, plugins, rewriter, rewritten
from tests.scripted import scripted_context


def registering(*_: Any, **__: Any) -> None:
    """Take whatever a plugin registers."""


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
