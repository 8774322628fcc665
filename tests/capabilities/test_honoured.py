"""What only some backends honour: sent to those, named as ignored or refused by path for the others."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from claude_max_proxy import Audio, ConfigError, Image, InvalidRequest, Request, Text
from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.openai_api.settings import CONTENT, Honoured, OpenAIApiSettings
from claude_max_proxy.capabilities import Capability, carry_content, carry_parameters
from claude_max_proxy.capabilities.honoured import (
    CAPABILITIES,
    carry_unknown,
    header_of,
    name_ignored,
    refusal,
)
from claude_max_proxy.errors import Overloaded
from tests.gateway.test_fallback import House
from tests.scripted import collect, failure, question, scripted_runtime


async def test_a_fallback_that_can() -> None:
    """A backend that cannot honour a request is skipped in favour of one that can."""
    house = House()
    house.backends["b"].honours = {"logit_bias"}
    assert await house.ask(extra={"logit_bias": {"1": 1}}) == "I am b."
    assert house.asked() == [0, 1, 0]


async def test_a_fallback_that_cannot() -> None:
    """If a backend that honours a request fails, no backend that cannot honour it is asked."""
    house = House()
    house.backends["a"].honours = {"logit_bias"}
    house.fail("a", Overloaded("no room"))
    events = await collect(house.gateway, question("best", extra={"logit_bias": {"1": 1}}))
    assert failure(events).code == "overloaded"
    assert house.asked() == [1, 0, 0]


async def test_ignored_by_whom_answers() -> None:
    """The names of ignored parameters are those that the backend which answered has ignored."""
    house = House()
    house.fail("a", Overloaded("no room"))
    house.backends["b"].honours = {"seed"}
    request = question("best", extra={"seed": 1, "verbosity": "low"})
    await collect(house.gateway, request)
    assert request.ignored == ["verbosity"]


def test_defaults_ask_for_nothing() -> None:
    """A default that a client writes out counts as absent, and what has no entry is left alone."""
    request = Request("m")
    carry_parameters(request, {name: extra.default for name, extra in CAPABILITIES.items()} | {"x": 1})
    assert request.extra == {}


def test_other_content_is_everybodys() -> None:
    """Text, and images with an https URL, need no special backend."""
    request = Request("m")
    carry_content(request, [Text("x"), Image(url="https://a/b.png")], "input[0].content")
    assert request.extra == {}
    carry_content(request, [Text("x"), Audio("AA", "mp3")], "input[1].content")
    assert request.extra == {"input_audio": "input[1].content[1]"}


def test_a_plugins_own_words() -> None:
    """What a plugin puts into ``extra`` under its own name is left alone."""
    request = Request("m", extra={"my_flag": True})
    name_ignored(request, ())
    assert refusal(request, ()) is None
    assert request.ignored == []


def test_what_a_server_may_lack() -> None:
    """The backend for OpenAI's API honours every capability, except those that this API does not know."""
    others = {name for name in CAPABILITIES if name.startswith("anthropic_")}
    others |= {"agent", "context_management", "top_k"}
    assert set(get_args(Honoured)) == set(CAPABILITIES) - others
    assert {name for name, extra in CAPABILITIES.items() if extra.kind == "content"} == CONTENT


# --- an agent


AGENT = {"tools": [], "directory": "/"}


async def test_an_agent_that_nobody_has() -> None:
    """A model whose entry asks for an agent is refused if its backend has none, and no backend is asked."""
    house = House({"best": {"to": "a/one", "agent": AGENT}})
    error = failure(await collect(house.gateway, question("best")))
    assert (error.status, error.param, "no agent" in error.message) == (400, "model", True)
    with pytest.raises(InvalidRequest, match='one of type "claude-cli" has'):
        await house.gateway.count_tokens(question("best"), "test")
    assert house.asked() == [0, 0, 0]


async def test_an_agent_answers_once() -> None:
    """Several answers of an agent are refused, since several agents would work on the same files at once."""
    house = House({"best": {"to": "a/one", "agent": AGENT}})
    house.backends["a"].honours = {"agent"}
    request = question("best")
    request.answers = 2
    error = failure(await collect(house.gateway, request))
    assert (error.status, error.param) == (400, "n")
    assert house.asked() == [0, 0, 0]


async def test_an_agent_that_another_has() -> None:
    """A fallback whose backend has an agent is asked, as it is for any other capability."""
    entry = {"to": "b/two", "agent": AGENT}
    house = House({"best": {"to": "a/one", "agent": AGENT, "fallback": ["other"]}, "other": entry})
    house.backends["b"].honours = {"agent"}
    assert await house.ask() == "I am b."


def test_who_has_an_agent() -> None:
    """Of the built-in backends, the one that drives the CLI has an agent."""
    honours = (ClaudeCli.honours, AnthropicApi.honours, OpenAIApiSettings().honoured)
    assert ["agent" in names for names in honours] == [True, False, False]


# --- capabilities of plugins


BACKEND = """
from claude_max_proxy import Backend, Settings, hookimpl
from claude_max_proxy.capabilities import Capability

class Mine(Backend):
    capabilities = {capabilities}
    honours = {honours}
    def __init__(self, name, settings): ...
    async def answer(self, request, model):
        yield

@hookimpl
def register_backends(register):
    register("mine", Settings, Mine)
"""
MIROSTAT = '{"mirostat": Capability("hint", 0)}'


@pytest.mark.parametrize(
    ("capabilities", "honours", "message"),
    [
        (
            MIROSTAT,
            '{"mirostats"}',
            "^backends.x: it honours 'mirostats', which is .* did you mean 'mirostat'",
        ),
        ("{}", '"seed"', "^backends.x: it honours '.', which is no capability"),
        ('{"seed": Capability("meaning")}', "()", "^backends.x: another capability is called 'seed'"),
        ('{"mirostat": "hint"}', "()", "^backends.x: the capability 'mirostat' is a str"),
    ],
)
def test_capabilities_that_cannot_be(tmp_path: Path, capabilities: str, honours: str, message: str) -> None:
    """An unknown name, one with another meaning, and a value of another type are errors at build time."""
    source = BACKEND.format(capabilities=capabilities, honours=honours)
    with pytest.raises(ConfigError, match=message):
        scripted_runtime(tmp_path, {"backends": {"x": {"type": "mine"}}}, mine=source)


def test_two_that_say_the_same(tmp_path: Path) -> None:
    """Two backends of the same type add the same capability, which then exists once."""
    source = BACKEND.format(capabilities=MIROSTAT, honours='{"mirostat"}')
    table = {"backends": {"x": {"type": "mine"}, "y": {"type": "mine"}}}
    assert scripted_runtime(tmp_path, table, mine=source).capabilities["mirostat"] == Capability("hint", 0)


def test_a_dialects_own() -> None:
    """A dialect carries the capabilities that it has added itself, unless they ask for nothing."""
    request, own = Request("m"), {"mirostat": Capability("hint", 0), "tau": Capability("hint", 5)}
    carry_parameters(request, {"mirostat": 1, "tau": 5, "seed": 1}, own)
    assert request.extra == {"mirostat": 1}


def test_what_only_a_plugin_knows() -> None:
    """A field that no dialect knows is carried, not ignored, if a plugin's capability has its name."""
    known = {
        **CAPABILITIES,
        "mirostat": Capability("hint", 0),
        "tau": Capability("hint", 5),
        "video": Capability("content"),
    }
    body = b'{"mirostat": 2, "tau": 5, "video": 1, "other": 1}'
    request = Request("m", ignored=["mirostat", "tau", "video", "other"])
    carry_unknown(request, body, known)
    assert (request.extra, request.ignored) == ({"mirostat": 2}, ["video", "other"])
    untouched = Request("m", ignored=["other"])
    carry_unknown(untouched, b"no JSON", known)
    assert untouched.ignored == ["other"]


def test_the_header_of_what_is_ignored() -> None:
    """Names fit in a header, however many there are and whatever they are made of."""
    assert header_of(["a", "messages.b"]) == "a, messages.b"
    assert header_of(["ü", "a\r\nx: y", "b,c"]) == "?, a??x:?y, b?c"
    many = header_of([f"name-{number:03}" for number in range(300)])
    assert len(many) < 1024
    assert many.startswith("name-000, name-001")
    assert many.endswith("name-099, and 200 more")
