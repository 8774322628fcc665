"""What only some backends honour: sent to those, named as ignored or refused by path for the others."""

from __future__ import annotations

from typing import get_args

from claude_max_proxy import Audio, Image, Overloaded, Request, Text, carry_content, carry_parameters
from claude_max_proxy.backends.openai_api.settings import CONTENT, Honoured
from claude_max_proxy.extras import EXTRAS, header_of, name_ignored, refusal
from tests.scripted import collect, failure, question
from tests.test_fallback import House


async def test_a_fallback_that_can() -> None:
    """Who cannot honour a request is passed over for one that can."""
    house = House()
    house.backends["b"].honours = {"logit_bias"}
    assert await house.ask(extra={"logit_bias": {"1": 1}}) == "I am b."
    assert house.asked() == [0, 1, 0]


async def test_a_fallback_that_cannot() -> None:
    """Who honours a request and fails is believed: nobody is asked who would answer something else."""
    house = House()
    house.backends["a"].honours = {"logit_bias"}
    house.fail("a", Overloaded("no room"))
    events = await collect(house.gateway, question("best", extra={"logit_bias": {"1": 1}}))
    assert failure(events).code == "overloaded"
    assert house.asked() == [1, 0, 0]


async def test_ignored_by_whom_answers() -> None:
    """The names of what was ignored are those of the backend that answered."""
    house = House()
    house.fail("a", Overloaded("no room"))
    house.backends["b"].honours = {"seed"}
    request = question("best", extra={"seed": 1, "verbosity": "low"})
    await collect(house.gateway, request)
    assert request.ignored == ["verbosity"]


def test_defaults_ask_for_nothing() -> None:
    """A default that a client writes out is as good as none, and what has no entry is left alone."""
    request = Request("m")
    carry_parameters(request, {name: extra.default for name, extra in EXTRAS.items()} | {"x": 1})
    assert request.extra == {}


def test_other_content_is_everybodys() -> None:
    """Text and images by https need no backend of their own."""
    request = Request("m")
    carry_content(request, [Text("x"), Image(url="https://a/b.png")], "input[0].content")
    assert request.extra == {}
    carry_content(request, [Text("x"), Audio("AA", "mp3")], "input[1].content")
    assert request.extra == {"input_audio": "input[1].content[1]"}


def test_a_plugins_own_words() -> None:
    """What a plugin puts into ``extra`` under a name of its own is its own business."""
    request = Request("m", extra={"my_flag": True})
    name_ignored(request, ())
    assert refusal(request, ()) is None
    assert request.ignored == []


def test_what_a_server_may_lack() -> None:
    """The backend for OpenAI's API honours all that there is, but for what that API does not know."""
    others = {name for name in EXTRAS if name.startswith("anthropic_")} | {"context_management", "top_k"}
    assert set(get_args(Honoured)) == set(EXTRAS) - others
    assert {name for name, extra in EXTRAS.items() if extra.kind == "content"} == CONTENT


def test_the_header_of_what_is_ignored() -> None:
    """Names fit in a header, however many there are and whatever they are made of."""
    assert header_of(["a", "messages.b"]) == "a, messages.b"
    assert header_of(["ü", "a\r\nx: y", "b,c"]) == "?, a??x:?y, b?c"
    many = header_of([f"name-{number:03}" for number in range(300)])
    assert len(many) < 1024
    assert many.startswith("name-000, name-001")
    assert many.endswith("name-099, and 200 more")
