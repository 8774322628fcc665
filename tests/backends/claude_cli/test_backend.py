"""The backend from a request to its events, with a fake CLI. The real one is in the end-to-end tests."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import Any

import pytest

from claude_max_proxy import (
    Agent,
    NotFound,
    ProxyError,
    RateLimited,
    Reasoning,
    Started,
    Text,
    ToolCall,
    UsageLimitReached,
)
from claude_max_proxy.backends.claude_cli import process as process_module
from claude_max_proxy.backends.claude_cli import tries as tries_module
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.errors import (
    BackendUnavailable,
    NotLoggedIn,
    Overloaded,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from tests.backends.claude_cli.asking import LOOK, TAKE, ask, asking, events_of, heard, results, said, tell
from tests.backends.claude_cli.conftest import MakeBackend
from tests.end_to_end.running import until


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting."""
    monkeypatch.setattr(tries_module, "_BACKOFF", (0.0,))


def processes(backend: ClaudeCli) -> dict[str, int]:
    """Return the states of the backend's processes."""
    counts: dict[str, int] = backend.health()["processes"]
    return counts


def runs(pid: int) -> bool:
    """Return whether a process is running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_an_answer(backend: ClaudeCli) -> None:
    """A question is answered with the text of the CLI, the full name of the model, and the usage."""
    reply = await ask(backend, "hello there")
    assert reply.text == "You said: hello there"
    assert (reply.model, reply.reason) == ("claude-sonnet-4-5", "stop")
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 5)


async def test_thoughts(backend: ClaudeCli) -> None:
    """What the model thinks is a separate part, before its text."""
    reply = await ask(backend, "[[think about it]]")
    assert [type(part) for part in reply.parts] == [Reasoning, Text]
    assert reply.reasoning == "about it"


async def test_health(backend: ClaudeCli) -> None:
    """Health names the program, its version and its login, and counts the processes."""
    await ask(backend, "hello")
    health = backend.health()
    assert (health["status"], health["version"]) == ("ok", "2.1.332")
    assert health["login"] == "logged in by ANTHROPIC_API_KEY"
    assert health["processes"]["parked"] == 1
    assert "problem" not in health


async def test_what_is_known_of_a_model(backend: ClaudeCli) -> None:
    """After an answer the model's full name, window and efforts are known."""
    await ask(backend, "hello")
    assert await until(lambda: backend.describe("sonnet").context_window == 200_000)
    info = backend.describe("sonnet")
    assert (info.name, info.max_output_tokens) == ("claude-sonnet-4-5", 32_000)
    assert info.efforts == ("low", "medium", "high")


async def test_instructions_and_settings(backend: ClaudeCli) -> None:
    """The process starts with the client's instructions, and gets the request's settings."""
    known = await tell(backend, system="be brief", max_tokens=2000, stop=["END"], effort="high")
    assert known["initialized"]["systemPrompt"] == ["be brief"]
    assert known["environment"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "2000"
    assert known["environment"]["CLAUDE_CODE_EXTRA_BODY"] == '{"stop_sequences":["END"]}'
    assert known["effort"] == "high"


async def test_a_history_into_a_fresh_process(backend: ClaudeCli) -> None:
    """A conversation that no process has is written into one, message by message, in its true roles."""
    known = await tell(backend, "first", heard(await ask(backend, "never mind")), "second", system="apart")
    assert said(known) == [
        ("user", ["first"]),
        ("assistant", ["You said: never mind"]),
        ("user", ["second"]),
        ("user", ["[[tell]]"]),
    ]
    assert known["turns"] == 1


async def test_going_on(backend: ClaudeCli) -> None:
    """The next turn of a conversation goes to the process that has it, and nothing is written again."""
    first = await tell(backend)
    again = [asking("[[tell]]").messages[0], heard(await ask(backend, "[[tell]]"))]
    events = await events_of(backend, asking(*again, "[[tell]]"))
    assert isinstance(events[0], Started)
    assert events[0].live
    known = await tell(backend, *again)
    assert known["pid"] == first["pid"]
    assert [role for role, _ in said(known)] == ["user", "assistant", "user"]


@pytest.mark.parametrize("steps", [False, True])
async def test_going_back(steps: bool, make_backend: MakeBackend) -> None:
    """After an edited question what followed it is removed, in one step, or line by line in an older CLI."""
    backend = make_backend(fake={"steps": steps})
    first = await ask(backend, "one")
    second = await ask(backend, "one", heard(first), "two")
    await ask(backend, "one", heard(first), "two", heard(second), "three")
    known = await tell(backend, "one", heard(first))
    assert said(known) == [("user", ["one"]), ("assistant", ["You said: one"]), ("user", ["[[tell]]"])]
    assert processes(backend)["parked"] == 1


async def test_another_conversation(backend: ClaudeCli) -> None:
    """A used process can serve a conversation that has nothing in common with the previous one."""
    first = await tell(backend)
    await ask(backend, "of one")
    known = await tell(backend)
    assert known["pid"] == first["pid"]
    assert said(known) == [("user", ["[[tell]]"])]


@pytest.mark.parametrize("fake", [{"rewinds": False}, {"refuses": ["rewind_conversation"]}])
async def test_a_cli_that_takes_nothing_back(fake: dict[str, Any], make_backend: MakeBackend) -> None:
    """If a CLI does not confirm that it has removed something, its process ends and a new one answers."""
    backend = make_backend(fake=fake)
    first = await tell(backend)
    known = await tell(backend)
    assert known["pid"] != first["pid"]
    assert said(known) == [("user", ["[[tell]]"])]
    assert await until(lambda: not runs(first["pid"]))


async def test_a_version_that_nobody_knows(make_backend: MakeBackend) -> None:
    """If an unknown version cannot be tested, it answers, but each process serves only one conversation."""
    backend = make_backend(fake={"version": "99.0.0"})
    first = await tell(backend)
    assert (await tell(backend))["pid"] != first["pid"]


# --- tools


async def test_calls_and_their_results(backend: ClaudeCli) -> None:
    """Parallel calls are sent with their arguments, wait in their process, and continue with results."""
    question = '[[tool look {"where": "here"}]][[tool take {"count": 2}]]'
    first = await ask(backend, question, tools=[LOOK, TAKE])
    calls = [part for part in first.parts if isinstance(part, ToolCall)]
    assert [(call.name, call.arguments) for call in calls] == [
        ("look", '{"where": "here"}'),
        ("take", '{"count": 2}'),
    ]
    assert first.reason == "tool_calls"
    last = await ask(backend, question, heard(first), results(first, "seen", "taken"), tools=[LOOK, TAKE])
    assert last.reason == "stop"
    assert "seen" in last.text
    assert "taken" in last.text
    assert processes(backend)["parked"] == 1


async def test_other_tools(backend: ClaudeCli) -> None:
    """A used process learns the tools of the next request."""
    first = await tell(backend, tools=[LOOK])
    known = await tell(backend, tools=[TAKE])
    assert (first["tools"], known["tools"]) == (["look"], ["take"])
    assert known["pid"] == first["pid"]


async def test_a_tool_that_nobody_offered(backend: ClaudeCli) -> None:
    """A call of an unknown tool goes to the client, and the CLI does not ask the model again by itself."""
    first = await ask(backend, "[[tool steal]]", tools=[LOOK])
    assert first.reason == "tool_calls"
    assert [part.name for part in first.parts if isinstance(part, ToolCall)] == ["steal"]


async def test_a_tool_that_the_cli_leaves_out(make_backend: MakeBackend) -> None:
    """If a CLI does not accept a tool, one more process is tried, and then the error names the tool."""
    backend = make_backend(fake={"without": ["take"]})
    with pytest.raises(UpstreamError, match="does not take the tools 'take'"):
        await ask(backend, "hello", tools=[LOOK, TAKE])
    assert (await ask(backend, "hello", tools=[LOOK])).text == "You said: hello"


async def test_an_answer_by_schema(backend: ClaudeCli) -> None:
    """The input of the CLI's own tool is the answer's text."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    reply = await ask(backend, '[[tool StructuredOutput {"n": 1}]]', response_schema=schema)
    assert (reply.text, reply.reason) == ('{"n": 1}', "stop")


# --- ends


async def test_an_answer_at_its_limit(backend: ClaudeCli) -> None:
    """An answer that ends at its limit says so, and the CLI does not continue by itself."""
    reply = await ask(backend, "[[max_tokens]] hello", max_tokens=10)
    assert reply.reason == "length"
    assert (await ask(backend, "hello")).text == "You said: hello"


async def test_white_space_alone(backend: ClaudeCli) -> None:
    """An answer of white space alone is sent as it is; the CLI is kept from asking the model again."""
    assert (await ask(backend, "[[blank]]")).text.isspace()


async def test_a_client_that_leaves(backend: ClaudeCli) -> None:
    """If a client disconnects, its question is removed, and the process answers the next one."""
    first = await tell(backend)
    async with aclosing(backend.answer(asking("[[hang]]"), "sonnet")) as events:
        async for _ in events:
            break
    known = await tell(backend)
    assert known["pid"] == first["pid"]
    assert said(known) == [("user", ["[[tell]]"])]


async def test_the_end(make_backend: MakeBackend) -> None:
    """A backend that is stopped leaves no process, whatever each of them does."""
    backend = make_backend()
    parked, waiting = await tell(backend), await tell(backend, system="another")
    await ask(backend, "[[tool look]]", tools=[LOOK], system="another")
    await backend.stop()
    assert not runs(parked["pid"])
    assert not runs(waiting["pid"])


# --- what goes wrong


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("[[status 529 Overloaded]]", Overloaded),
        ("[[status 401 who are you]]", NotLoggedIn),
        ("[[logged_out]]", NotLoggedIn),
        ("[[status 404 no such model]]", NotFound),
        ("[[status 400 no]]", UpstreamRefused),
        ("[[status 429 slow down]]", RateLimited),
        ("[[limit]]", UsageLimitReached),
        ("[[status 500 oh]]", UpstreamFailed),
        ("[[die]]", UpstreamFailed),
    ],
)
async def test_failures(directive: str, error: type[ProxyError], backend: ClaudeCli) -> None:
    """A failure of the provider or the CLI is an error of its kind, and the next question is answered."""
    with pytest.raises(error):
        await ask(backend, directive)
    assert (await ask(backend, "hello")).text == "You said: hello"


async def test_a_process_that_dies(backend: ClaudeCli) -> None:
    """The error contains the process's last output, and each try had its own process."""
    with pytest.raises(UpstreamFailed, match="exit status 3; it said: out of luck"):
        await ask(backend, "[[die]]")
    assert "out of luck" in backend.health()["last_failure"]
    assert processes(backend)["busy"] == 0


async def test_silence(make_backend: MakeBackend) -> None:
    """If an answer stops coming, that is an error after the time that the settings allow."""
    backend = make_backend(stall_timeout=0.2, retries=0)
    with pytest.raises(UpstreamTimeout, match=r"silent for 0\.2 s"):
        await ask(backend, "[[hang]]")


@pytest.mark.parametrize("subtype", ["initialize", "apply_flag_settings"])
async def test_a_refused_request(subtype: str, make_backend: MakeBackend) -> None:
    """If a CLI refuses its settings, the error has the CLI's own words."""
    backend = make_backend(fake={"refuses": [subtype]}, retries=0)
    with pytest.raises(UpstreamFailed, match=f"no {subtype} today"):
        await ask(backend, "hello", effort="high")


async def test_a_cli_that_does_not_begin(make_backend: MakeBackend) -> None:
    """A CLI that does not answer its first request is given up after ``start_timeout``."""
    backend = make_backend(fake={"deaf": ["initialize"]}, start_timeout=0.5, retries=0)
    with pytest.raises(UpstreamTimeout, match="answering initialize"):
        await ask(backend, "hello")


async def test_what_is_not_protocol(backend: ClaudeCli) -> None:
    """A few lines that are not protocol, a request, and a line of an unknown kind do no harm."""
    assert (await ask(backend, "[[garbage 5]][[odd]] hello")).text.endswith("hello")


async def test_too_much_that_is_not_protocol(backend: ClaudeCli) -> None:
    """A program that prints mostly garbage is ended."""
    with pytest.raises(UpstreamFailed, match="not protocol"):
        await ask(backend, "[[garbage 200]] hello")


async def test_a_line_without_an_end(backend: ClaudeCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose line is too long is ended, and its place is free again."""
    monkeypatch.setattr(process_module, "LINE_LIMIT", 10_000)
    with pytest.raises(UpstreamFailed, match="longer than"):
        await ask(backend, "[[long 3000000]]")
    assert await until(lambda: not any(processes(backend).values()), 10)


async def test_no_login(make_backend: MakeBackend) -> None:
    """A missing login is found out before the first request, and health says what to do."""
    backend = make_backend(fake={"logged_in": False})
    await backend.start()
    assert await until(lambda: "Not logged in" in backend.health().get("problem", ""))


async def test_no_cli(make_backend: MakeBackend) -> None:
    """Without a CLI, the error says how to install one."""
    backend = make_backend(command="/nowhere/claude")
    with pytest.raises(BackendUnavailable, match="npm install"):
        await ask(backend, "hello")
    assert backend.health()["status"] == "unavailable"


async def test_an_old_cli(make_backend: MakeBackend) -> None:
    """A CLI that is too old is refused, with the version that is needed."""
    backend = make_backend(fake={"version": "2.0.0"})
    with pytest.raises(BackendUnavailable, match=r"2\.0\.0 is too old"):
        await ask(backend, "hello")


# --- agents


async def test_an_agent(make_backend: MakeBackend, tmp_path: Any) -> None:
    """An agent has the CLI's tools, works in its directory, and keeps the CLI's own instructions."""
    backend = make_backend()
    agent = Agent(("Read", "Bash"), str(tmp_path), allow=("Read",))
    known = await tell(backend, agent=agent, system="be careful")
    assert known["initialized"]["appendSystemPrompt"] == "be careful"
    arguments = known["arguments"]
    assert arguments[arguments.index("--tools") + 1] == "Read,Bash"
    await backend.stop()
    assert await until(lambda: not runs(known["pid"]))


async def test_an_agent_without_a_directory(backend: ClaudeCli) -> None:
    """A missing directory of an agent is an error that names it."""
    with pytest.raises(BackendUnavailable, match="'/nowhere/at/all' does not exist"):
        await ask(backend, "hello", agent=Agent((), "/nowhere/at/all"))


async def test_warm_processes(make_backend: MakeBackend) -> None:
    """A process for a model in use is ready before it is asked for."""
    backend = make_backend(warm=1, warm_models=["opus"])
    await backend.start()
    assert await until(lambda: processes(backend)["warm"] == 1)
    assert (await ask(backend, "hello", model="opus")).model == "claude-opus-4-5"
