"""Fallback: who is asked when a model fails at once, and who is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    BackendUnavailable,
    Busy,
    ContextLengthExceeded,
    Failed,
    Finished,
    Forbidden,
    InvalidRequest,
    NotLoggedIn,
    Overloaded,
    PartDelta,
    PartStarted,
    ProxyError,
    RateLimited,
    Request,
    Started,
    Target,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UsageLimitReached,
    fold,
)
from claude_max_proxy.config import parse
from claude_max_proxy.fallback import Breakers
from claude_max_proxy.gateway import Gateway
from claude_max_proxy.plugins import Plugins, load_built_ins
from tests.drop_ins.scripted import Scripted, ScriptedSettings, says
from tests.scripted import collect, failure, question


MODELS: dict[str, Any] = {
    "best": {"to": "a/one", "fallback": ["b/two", "cheap"]},
    "cheap": {"to": "c/three", "effort": "low", "max_tokens": 9, "system": "Be brief."},
    "alone": "a/one",
}
PASSED_ON = [
    UpstreamFailed("the connection broke"),
    BackendUnavailable("no such program"),
    RateLimited("slowly"),
    UsageLimitReached("used up"),
    Overloaded("no room"),
    UpstreamTimeout("silence"),
    Busy("full"),
    ContextLengthExceeded("too long"),
]
KEPT = [
    InvalidRequest("wrong"),
    UpstreamRefused("wrong, it says"),
    NotLoggedIn("log in"),
    Forbidden("no"),
]


class Clock:
    """A time that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    """A gateway before three scripted backends."""

    def __init__(self, models: dict[str, Any] | None = None) -> None:
        self.backends = {name: Scripted(name, ScriptedSettings()) for name in "abc"}
        for name, backend in self.backends.items():
            backend.script = says(f"I am {name}.")
        table = {"models": models or MODELS, "backends": {name: {"type": "scripted"} for name in "abc"}}
        config = parse(table, None)
        self.clock = Clock()
        plugins = Plugins(load_built_ins(), config.plugins)
        self.gateway = Gateway(config, plugins, self.backends, Breakers(self.clock))

    async def ask(self, model: str = "best", **fields: Any) -> str:
        """Ask, and give the text of the answer."""
        return fold(await collect(self.gateway, question(model, **fields))).text

    def fail(self, name: str, error: ProxyError, *, raised: bool = True) -> None:
        """Let a backend fail at once."""
        self.backends[name].script = [error if raised else Failed(error)]

    def asked(self) -> list[int]:
        """How often each was asked."""
        return [len(backend.asked) for backend in self.backends.values()]


async def test_who_works_is_asked_alone() -> None:
    """While the first answers, no fallback is asked."""
    house = House()
    assert await house.ask() == "I am a."
    assert house.asked() == [1, 0, 0]


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize("error", PASSED_ON, ids=lambda error: type(error).__name__)
async def test_the_next_is_asked(error: ProxyError, raised: bool) -> None:
    """A failure that another model may not have goes to the next; the client sees nothing of it."""
    house = House()
    house.fail("a", error, raised=raised)
    assert await house.ask() == "I am b."
    assert house.asked() == [1, 1, 0]
    assert house.backends["b"].asked[0][1] == "two"
    assert house.backends["a"].closed == 1


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize("error", KEPT, ids=lambda error: type(error).__name__)
async def test_a_mistake_is_told(error: ProxyError, raised: bool) -> None:
    """The client's own mistake, or a login that is missing, is told and asked of nobody else."""
    house = House()
    house.fail("a", error, raised=raised)
    assert failure(await collect(house.gateway, question("best"))) is error
    assert house.asked() == [1, 0, 0]


async def test_the_order() -> None:
    """Fallbacks are asked in the order they are listed; when all fail the last one's failure is told."""
    house = House()
    last = Overloaded("the last")
    for name, error in (("a", Overloaded("x")), ("b", UpstreamFailed("y")), ("c", last)):
        house.fail(name, error)
    events = await collect(house.gateway, question("best"))
    assert failure(events) is last
    assert len(events) == 1
    assert house.asked() == [1, 1, 1]


async def test_a_mistake_ends_the_row() -> None:
    """A fallback's refusal is told, and those after it are not asked."""
    house = House()
    house.fail("a", Overloaded("x"))
    house.fail("b", UpstreamRefused("wrong"))
    assert isinstance(failure(await collect(house.gateway, question("best"))), UpstreamRefused)
    assert house.asked() == [1, 1, 0]


@pytest.mark.parametrize("raised", [True, False])
async def test_never_after_the_first_word(raised: bool) -> None:
    """An answer that has begun is not begun again: its failure is told after what was said."""
    house = House()
    error = Overloaded("in the middle")
    house.backends["a"].script = [
        Started("m"),
        PartStarted(0, "text"),
        PartDelta(0, "I am"),
        error if raised else Failed(error),
    ]
    events = await collect(house.gateway, question("best"))
    assert events[:3] == house.backends["a"].script[:3]
    assert failure(events) is error
    assert house.asked() == [1, 0, 0]


async def test_a_start_is_no_word() -> None:
    """A model that only said that it started may still be replaced; one ``Started`` reaches the client."""
    house = House()
    house.backends["a"].script = [Started("lost"), Overloaded("x")]
    events = await collect(house.gateway, question("best"))
    assert [event.model for event in events if isinstance(event, Started)] == ["upstream-model"]
    assert fold(events).text == "I am b."


async def test_an_empty_answer_is_an_answer() -> None:
    """A model that answers with nothing has answered."""
    house = House()
    house.backends["a"].script = [Started("m"), Finished("stop")]
    assert await house.ask() == ""
    assert house.asked() == [1, 0, 0]


async def test_a_bug_is_not_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a backend is ours to hear of, not a reason to ask another."""
    house = House()
    house.backends["a"].script = [KeyError("x")]
    assert failure(await collect(house.gateway, question("best"))).status == 500
    assert house.asked() == [1, 0, 0]
    assert "KeyError" in caplog.text


async def test_what_a_fallback_sets() -> None:
    """A fallback that is a name brings its settings, where the client and the first name set none."""
    house = House(
        {"first": {"to": "a/one", "max_tokens": 5, "fallback": ["cheap"]}, "cheap": MODELS["cheap"]}
    )
    house.fail("a", Overloaded("x"))
    await house.ask("first", system="Be kind.")
    first, second = house.backends["a"].asked[0][0], house.backends["c"].asked[0][0]
    assert (first.effort, first.max_tokens, first.system) == (None, 5, "Be kind.")
    assert (second.effort, second.max_tokens, second.system) == ("low", 5, "Be brief.\n\nBe kind.")
    assert second.model == "first"


async def test_what_the_first_ignored() -> None:
    """What a failed model would have ignored is forgotten: the answer says what its own model ignored."""
    house = House()

    async def answer(request: Request, model: str) -> Any:
        request.ignore("temperature")
        raise Overloaded("x")
        yield

    house.backends["a"].answer = answer  # type: ignore[method-assign]
    request = question("best")
    await collect(house.gateway, request)
    assert request.ignored == []


async def test_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The log says who failed and why."""
    house = House()
    house.fail("a", Overloaded("no room"))
    await house.ask()
    assert "a/one failed, asking the next: no room" in caplog.text


# --- who is passed over


async def test_a_used_up_plan_is_passed_over() -> None:
    """A model whose plan is used up is not asked again before its reset, and then it is."""
    house = House()
    house.fail("a", UsageLimitReached("used up", retry_after=600))
    assert await house.ask() == "I am b."
    assert await house.ask() == "I am b."
    assert house.asked() == [1, 2, 0]
    house.clock.now += 599
    assert await house.ask() == "I am b."
    house.clock.now += 2
    house.backends["a"].script = says("I am back.")
    assert await house.ask() == "I am back."


async def test_a_reset_that_nobody_knows() -> None:
    """Without a time a used-up plan is tried again after five minutes."""
    house = House()
    house.fail("a", UsageLimitReached("used up"))
    await house.ask()
    house.clock.now += 299
    await house.ask()
    assert house.asked()[0] == 1
    house.clock.now += 2
    await house.ask()
    assert house.asked()[0] == 2


@pytest.mark.parametrize("error", [error for error in PASSED_ON if not isinstance(error, UsageLimitReached)])
async def test_only_a_plan_limit_is_remembered(error: ProxyError) -> None:
    """Any other failure is asked again the next time: it may be over."""
    house = House()
    house.fail("a", error)
    await house.ask()
    await house.ask()
    assert house.asked()[0] == 2


async def test_without_another_it_is_asked() -> None:
    """A model without a fallback is always asked: its refusal says more than ours could."""
    house = House()
    error = UsageLimitReached("used up", retry_after=600)
    house.fail("a", error)
    for count in (1, 2):
        assert failure(await collect(house.gateway, question("alone"))) is error
        assert house.asked()[0] == count


async def test_when_all_are_used_up() -> None:
    """When every plan is used up the last is asked, whose refusal is told."""
    house = House()
    for name in "abc":
        house.fail(name, UsageLimitReached(name, retry_after=600))
    await collect(house.gateway, question("best"))
    assert failure(await collect(house.gateway, question("best"))).message == "c"
    assert house.asked() == [1, 1, 2]


async def test_a_limit_in_the_middle_counts() -> None:
    """A plan that is used up in the middle of an answer is passed over from then on."""
    house = House()
    house.backends["a"].script[3:] = [UsageLimitReached("used up", retry_after=600)]
    await collect(house.gateway, question("best"))
    assert await house.ask() == "I am b."


def test_breakers_are_by_model() -> None:
    """One model of a backend may be used up while another is not."""
    breakers = Breakers(Clock())
    second = Target("a", "two")
    breakers.note(Target("a", "one"), UsageLimitReached("used up", retry_after=1))
    assert breakers.candidates([Target("a", "one"), second]) == [second]
    assert breakers.candidates([second]) == [second]
