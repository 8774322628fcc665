"""In which order hooks are called, with which arguments, and what happens if one fails."""

from __future__ import annotations

from typing import Any

import click
import pytest

from claude_max_proxy import Config, InvalidRequest, Record, Request, Target, hookimpl
from claude_max_proxy.errors import InternalError
from claude_max_proxy.plugin.plugin import Plugin
from tests.plugin.plugging import module, plugins, rewriter, rewritten


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
