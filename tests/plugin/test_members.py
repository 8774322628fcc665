"""What a plugin registers derives from the base class, and misspells none of its members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Backend, ConfigError, Event, Events, ProxyError, Request
from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.openai_api.backend import OpenAIApi
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.plugin.members import check_members
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from tests.scripted import scripted_runtime


class Sound(Backend):
    """A backend with only the required members."""

    async def answer(self, request: Request, model: str) -> Events:
        """Yield nothing."""
        events: list[Event] = []
        for event in events:
            yield event


class Plain(Dialect):
    """A dialect with only the required members."""

    name, routes = "plain", ("/plain",)

    def open(self, body: bytes) -> Exchange:
        """Open nothing."""
        raise NotImplementedError

    def error(self, error: ProxyError) -> bytes:
        """Write nothing."""
        return b""


MISSPELT = {
    "honors": "honours",
    "honored": "honours",
    "retry_s": "retries",
    "anyStop": "any_stop",
    "count_token": "count_tokens",
    "countTokens": "count_tokens",
    "embedding": "embed",
    "expects": "expect",
    "takeover": "take_over",
    "keep_only_": "keep_only",
    "descibe": "describe",
    "heath": "health",
}
MISSPELT_OF_DIALECTS = {
    "stauts": "status",
    "read_header": "read_headers",
    "further_route": "further_routes",
    "furtherRoutes": "further_routes",
    "count_route": "count_routes",
    "take_overs": "take_over",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
@pytest.mark.parametrize("of_class", [True, False])
def test_a_misspelt_member_of_a_backend(name: str, meant: str, of_class: bool) -> None:
    """A member whose name is close to one of a backend's is refused, with the name that was meant."""
    given: Any = type("Mine", (Sound,), {name: 1} if of_class else {})()
    if not of_class:
        setattr(given, name, 1)
    with pytest.raises(ConfigError, match=rf"^here: Mine\.{name} is nothing .* did you mean '{meant}'\?"):
        check_members(given, Backend, "here")


@pytest.mark.parametrize(("name", "meant"), MISSPELT_OF_DIALECTS.items())
def test_a_misspelt_member_of_a_dialect(name: str, meant: str) -> None:
    """The same holds for a dialect."""
    with pytest.raises(ConfigError, match=rf"Mine\.{name} is nothing .* did you mean '{meant}'\?"):
        check_members(type("Mine", (Plain,), {name: 1})(), Dialect, "here")


@pytest.mark.parametrize(
    "name", ["models", "client", "url", "settings", "tokens", "_honors", "answers", "timeout"]
)
def test_names_of_its_own(name: str) -> None:
    """Other names are the plugin's own business, also if they are close to a member that it has."""
    check_members(type("Mine", (Sound,), {name: 1})(), Backend, "here")


def test_what_it_has_itself() -> None:
    """A name that is close to a member's is allowed if the plugin has that member, too."""
    check_members(
        type("Mine", (Sound,), {"retries": 1, "retry": 2, "health": 3, "healthy": 4})(), Backend, ""
    )


@pytest.mark.parametrize("kind", [ClaudeCli, AnthropicApi, OpenAIApi, Sound])
def test_the_built_in_backends(kind: type[Backend]) -> None:
    """The built-in backends follow the rule."""
    check_members(kind, Backend, "here")


def test_the_built_in_dialects() -> None:
    """The built-in dialects follow the rule."""
    found: list[Dialect] = []

    def register(dialect: Dialect) -> None:
        found.append(dialect)

    Plugins(load_built_ins(), PluginsConfig()).register_dialects(register)
    assert len(found) == 4
    for dialect in found:
        check_members(dialect, Dialect, "here")


def test_what_derives_from_nothing() -> None:
    """A class that does not derive from the base class is refused, with the class to derive from."""
    for base in (Backend, Dialect):
        with pytest.raises(
            ConfigError, match=rf"^here: .* derive it from {base.__module__}\.{base.__name__}$"
        ):
            check_members(object(), base, "here")


def test_what_every_dialect_has() -> None:
    """A dialect without a name or routes is refused."""
    nameless: Any = type("Nameless", (Dialect,), {"open": 1, "error": 2, "routes": ()})
    with pytest.raises(ConfigError, match="it lacks 'name', which every dialect has"):
        check_members(nameless(), Dialect, "here")


# --- where it is looked at


BACKEND = """
from claude_max_proxy import Backend, Settings, hookimpl

class Mine({base}):
    {member} = None
    def __init__(self, name, settings):
        {attribute}
    async def answer(self, request, model):
        yield

@hookimpl
def register_backends(register):
    register("mine", Settings, {build})
"""
DIALECT = """
from claude_max_proxy import hookimpl
from claude_max_proxy.dialect import Dialect

class Mine({base}):
    name, routes = "mine", ("/mine",)
    {member} = None
    def open(self, body): ...
    def error(self, error): ...

@hookimpl
def register_dialects(register):
    register(Mine())
"""
SOUND = {"base": "Backend", "member": "_x", "attribute": "pass", "build": "Mine"}
BROKEN = {
    "a class, though nobody uses it": (
        BACKEND.format(**SOUND | {"member": "honors"}),
        {},
        "^the backend type 'mine': Mine.honors is nothing",
    ),
    "an object": (
        BACKEND.format(**SOUND | {"attribute": "self.honors = 1"}),
        {"x": {"type": "mine"}},
        "^backends.x: Mine.honors is nothing",
    ),
    "what a function makes": (
        BACKEND.format(
            **SOUND | {"member": "honors", "build": "lambda name, settings: Mine(name, settings)"}
        ),
        {"x": {"type": "mine"}},
        "^backends.x: Mine.honors is nothing",
    ),
    "no backend": (
        BACKEND.format(**SOUND | {"base": "object"}),
        {},
        "^the backend type 'mine': Mine is no backend",
    ),
    "no answer": (
        BACKEND.format(**SOUND).replace("answer", "_answer"),
        {"x": {"type": "mine"}},
        "^backends.x cannot be built: TypeError.*answer",
    ),
    "a dialect": (
        DIALECT.format(base="Dialect", member="stats"),
        {},
        "^the dialect Mine: Mine.stats is nothing",
    ),
    "no dialect": (DIALECT.format(base="object", member="x"), {}, "^the dialect Mine: Mine is no dialect"),
    "no open": (
        DIALECT.format(base="Dialect", member="x").replace("open", "read"),
        {},
        "^plugin 'mine' failed in register_dialects: TypeError.*open",
    ),
}


@pytest.mark.parametrize(("source", "backends", "message"), BROKEN.values(), ids=BROKEN)
def test_at_the_registration(tmp_path: Path, source: str, backends: dict[str, Any], message: str) -> None:
    """A configuration whose plugin is wrong in this way is refused when it is built, in one sentence."""
    with pytest.raises(ConfigError, match=message):
        scripted_runtime(tmp_path, {"backends": backends}, mine=source)
