"""Fallback: which model is asked when another fails at once, and which models are skipped."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    Backend,
    Events,
    Failed,
    Finished,
    Forbidden,
    InvalidRequest,
    PartDelta,
    PartStarted,
    ProxyError,
    RateLimited,
    Request,
    Started,
    Target,
    UsageLimitReached,
    fold,
)
from claude_max_proxy.config import parse
from claude_max_proxy.errors import (
    BackendUnavailable,
    Busy,
    ContextLengthExceeded,
    NotLoggedIn,
    Overloaded,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from claude_max_proxy.gateway import fallback as fallback_module
from claude_max_proxy.gateway.fallback import Breakers
from claude_max_proxy.gateway.gateway import Gateway
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from tests.drop_ins.scripted import Scripted, ScriptedSettings, Step, says
from tests.scripted import collect, failure, question, scripted_context


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


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again without waiting."""
    monkeypatch.setattr(fallback_module, "_PAUSE", 0.0)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    """A gateway with three scripted backends."""

    def __init__(self, models: dict[str, Any] | None = None) -> None:
        self.backends = {name: Scripted(name, ScriptedSettings()) for name in "abc"}
        for name, backend in self.backends.items():
            backend.script = says(f"I am {name}.")
        table = {"models": models or MODELS, "backends": {name: {"type": "scripted"} for name in "abc"}}
        config = parse(table, None)
        self.clock = Clock()
        self._used: dict[str, Backend] = dict(self.backends)
        plugins = Plugins(load_built_ins(), config.plugins)
        self.gateway = Gateway(scripted_context(config, plugins, self._used), plugins, Breakers(self.clock))

    async def ask(self, model: str = "best", **fields: Any) -> str:
        """Send a request, and return the text of the answer."""
        return fold(await collect(self.gateway, question(model, **fields))).text

    def fail(self, name: str, error: ProxyError, *, raised: bool = True) -> None:
        """Let a backend fail at once."""
        self.backends[name].script = [error if raised else Failed(error)]

    def replace(self, name: str, backend: Scripted) -> None:
        """Put another backend in the place of one."""
        self.backends[name] = self._used[name] = backend

    def asked(self) -> list[int]:
        """Return how often each backend was asked."""
        return [len(backend.asked) for backend in self.backends.values()]


async def test_who_works_is_asked_alone() -> None:
    """As long as the first model answers, no fallback is asked."""
    house = House()
    assert await house.ask() == "I am a."
    assert house.asked() == [1, 0, 0]


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize("error", PASSED_ON, ids=lambda error: type(error).__name__)
async def test_the_next_is_asked(error: ProxyError, raised: bool) -> None:
    """After a failure that another model may not have, the next is asked; the client sees no failure."""
    house = House()
    house.fail("a", error, raised=raised)
    assert await house.ask() == "I am b."
    assert house.asked() == [1, 1, 0]
    assert house.backends["b"].asked[0][1] == "two"
    assert house.backends["a"].closed == 1


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize("error", KEPT, ids=lambda error: type(error).__name__)
async def test_a_mistake_is_told(error: ProxyError, raised: bool) -> None:
    """A client's own mistake, or a missing login, is reported, and no other model is asked."""
    house = House()
    house.fail("a", error, raised=raised)
    assert failure(await collect(house.gateway, question("best"))) is error
    assert house.asked() == [1, 0, 0]


async def test_the_order() -> None:
    """Fallbacks are asked in the order of the list; if all fail, the last one's failure is reported."""
    house = House()
    last = Overloaded("the last")
    for name, error in (("a", Overloaded("x")), ("b", UpstreamFailed("y")), ("c", last)):
        house.fail(name, error)
    events = await collect(house.gateway, question("best"))
    assert failure(events) is last
    assert len(events) == 1
    assert house.asked() == [1, 1, 1]


async def test_a_mistake_ends_the_row() -> None:
    """If a fallback refuses, that is reported, and the fallbacks after it are not asked."""
    house = House()
    house.fail("a", Overloaded("x"))
    house.fail("b", UpstreamRefused("wrong"))
    assert isinstance(failure(await collect(house.gateway, question("best"))), UpstreamRefused)
    assert house.asked() == [1, 1, 0]


@pytest.mark.parametrize("raised", [True, False])
async def test_never_after_the_first_word(raised: bool) -> None:
    """A stream that has begun is not started again: its failure is reported after what was already sent."""
    house = House()
    error = Overloaded("in the middle")
    house.backends["a"].script = [
        Started("m"),
        PartStarted(0, "text"),
        PartDelta(0, "I am"),
        error if raised else Failed(error),
    ]
    events = await collect(house.gateway, question("best", stream=True))
    assert events[:3] == house.backends["a"].script[:3]
    assert failure(events) is error
    assert house.asked() == [1, 0, 0]


BROKEN = UpstreamFailed("it broke off")
BEGUN: list[Step] = [Started("m"), PartStarted(0, "text"), PartDelta(0, "I am")]
# The first model's answers, one per try; how often it may be tried again, and is; the client's answer.
WHOLE: dict[str, tuple[list[list[Step]], int, int, str | ProxyError]] = {
    "it breaks off once": ([[*BEGUN, BROKEN], says("I am a.")], 2, 2, "I am a."),
    "it breaks off twice": ([[*BEGUN, BROKEN], [*BEGUN, Failed(BROKEN)], says("I am a.")], 2, 3, "I am a."),
    "it always breaks off": ([[*BEGUN, BROKEN]] * 9, 2, 3, "I am b."),
    "it may not be asked again": ([[*BEGUN, BROKEN]] * 9, 0, 1, "I am b."),
    "an overload in the middle": ([[*BEGUN, Overloaded("no")], says("I am a.")], 1, 2, "I am a."),
    "before its first word": ([[Started("m"), BROKEN]] * 9, 2, 1, "I am b."),
    "a silence in the middle": ([[*BEGUN, UpstreamTimeout("silence")]] * 9, 2, 1, "I am b."),
    "a limit in the middle": ([[*BEGUN, UsageLimitReached("used up")]] * 9, 2, 1, "I am b."),
    "a mistake in the middle": ([[*BEGUN, KEPT[0]]] * 9, 2, 1, KEPT[0]),
    "after its end": ([[*says("I am a."), BROKEN]] * 9, 2, 1, "I am a."),
}


class Breaking(Scripted):
    """A backend that follows another script in each answer."""

    def __init__(self, scripts: list[list[Step]], retries: int) -> None:
        super().__init__("a", ScriptedSettings())
        self.scripts = list(scripts)
        self.retries = retries

    def answer(self, request: Request, model: str) -> Events:
        """Answer by the next script."""
        self.script = self.scripts.pop(0)
        return super().answer(request, model)


@pytest.mark.parametrize(("scripts", "retries", "asked", "result"), WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("alone", [False, True], ids=["with fallbacks", "alone"])
async def test_a_whole_answer(
    scripts: list[list[Step]], retries: int, asked: int, result: str | ProxyError, alone: bool
) -> None:
    """A whole answer that breaks off is asked for again a few times, and then from the next model."""
    house = House()
    house.replace("a", Breaking(scripts, retries))
    reply = fold(await collect(house.gateway, question("alone" if alone else "best", stream=False)))

    assert house.asked()[0] == asked
    if alone and result == "I am b.":
        assert isinstance(reply.error, ProxyError)
    elif isinstance(result, str):
        assert (reply.text, reply.error) == (result, None)
    else:
        assert reply.error is result


async def test_an_agent_is_not_asked_again() -> None:
    """What an agent has already done is not done again."""
    house = House({"agent": {"to": "a/one", "fallback": ["b/two"], "agent": {"tools": [], "directory": "/"}}})
    house.replace("a", Breaking([[*BEGUN, BROKEN]] * 9, 2))
    house.backends["a"].honours = house.backends["b"].honours = {"agent"}
    assert failure(await collect(house.gateway, question("agent", stream=False))) is BROKEN
    assert house.asked() == [1, 0, 0]


async def test_a_start_is_no_word() -> None:
    """A model that has yielded only ``Started`` may still be replaced; the client gets one ``Started``."""
    house = House()
    house.backends["a"].script = [Started("lost"), Overloaded("x")]
    events = await collect(house.gateway, question("best"))
    assert [event.model for event in events if isinstance(event, Started)] == ["upstream-model"]
    assert fold(events).text == "I am b."


async def test_an_empty_answer_is_an_answer() -> None:
    """An empty answer is an answer."""
    house = House()
    house.backends["a"].script = [Started("m"), Finished("stop")]
    assert await house.ask() == ""
    assert house.asked() == [1, 0, 0]


async def test_a_bug_is_not_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a backend is reported as ours, and no other backend is asked."""
    house = House()
    house.backends["a"].script = [KeyError("x")]
    assert failure(await collect(house.gateway, question("best"))).status == 500
    assert house.asked() == [1, 0, 0]
    assert "KeyError" in caplog.text


async def test_what_a_fallback_sets() -> None:
    """A fallback that is a name brings its settings, if neither the client nor the first name set them."""
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
    """What a failed model ignored is forgotten: the answer names what the answering model ignored."""
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
    """The log says which model failed, and why."""
    house = House()
    house.fail("a", Overloaded("no room"))
    await house.ask()
    assert "a/one failed, asking the next: no room" in caplog.text


# --- who is passed over


async def test_a_used_up_plan_is_passed_over() -> None:
    """A model whose plan is used up is not asked until the plan resets, and then it is."""
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
    """If no reset time is known, a used-up plan is tried again after five minutes."""
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
    """After any other failure the model is asked the next time: the failure may be over."""
    house = House()
    house.fail("a", error)
    await house.ask()
    await house.ask()
    assert house.asked()[0] == 2


async def test_without_another_it_is_asked() -> None:
    """A model without a fallback is always asked: its own refusal says more than ours could."""
    house = House()
    error = UsageLimitReached("used up", retry_after=600)
    house.fail("a", error)
    for count in (1, 2):
        assert failure(await collect(house.gateway, question("alone"))) is error
        assert house.asked()[0] == count


async def test_when_all_are_used_up() -> None:
    """If every plan is used up, the last model is asked, and its refusal is reported."""
    house = House()
    for name in "abc":
        house.fail(name, UsageLimitReached(name, retry_after=600))
    await collect(house.gateway, question("best"))
    assert failure(await collect(house.gateway, question("best"))).message == "c"
    assert house.asked() == [1, 1, 2]


async def test_a_limit_in_the_middle_counts() -> None:
    """A model whose plan was used up in the middle of an answer is skipped from then on."""
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
