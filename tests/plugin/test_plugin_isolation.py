"""A plugin's failure affects only the plugin: every hook, every kind of exception, every way to hang."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Config, ConfigError, Finished, fold
from claude_max_proxy.concurrency import bounded
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.plugin.drop_ins import DropIns
from claude_max_proxy.plugin.plugins import Plugins
from claude_max_proxy.runtime.runtime import Runtime
from tests.scripted import SILENCE, collect, failure, plugin_folder, question, scripted_runtime
from tests.server.live_proxy import TOML, LiveProxy


pytestmark = pytest.mark.slow
ERRORS = {
    "SystemExit": "raise SystemExit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "CancelledError": "raise asyncio.CancelledError",
    "BaseException": 'raise BaseException("own")',
    "Exception": "raise KeyError(1)",
    "StopIteration": "raise StopIteration",
    "StopAsyncIteration": "raise StopAsyncIteration",
    "unspeakable": 'raise type("Odd", (Exception,), {"__repr__": lambda self: exit(3)})',
    "cancels": "asyncio.current_task().cancel()",
    "cancels-twice": "[asyncio.current_task().cancel() for _ in range(2)]; raise SystemExit",
}
HEAD = "import asyncio\nfrom claude_max_proxy import hookimpl, PartDelta\n\nHOLD = True\n\n@hookimpl\n"
ASKED = ("map_model", "rewrite_request", "select_backend", "log_request")
REGISTERED = ("register_backends", "register_dialects", "register_commands", "register_checks")


def bad(runtime: Runtime) -> Any:
    """Return the plugin that fails."""
    return next(plugin for plugin in runtime.plugins if plugin.name == "bad")


def is_cancelled() -> bool:
    """Return whether somebody has cancelled the test itself."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling() > 0


async def answers(runtime: Runtime) -> bool:
    """Return whether a request is answered whole, in a task that is unaffected."""
    events = await collect(runtime.gateway, question())
    await asyncio.sleep(0)
    assert not is_cancelled()
    return fold(events).text == "Hello!" and isinstance(events[-1], Finished)


RAISED = [(kind, error) for kind in ("def", "async def", "later") for error in ERRORS]
RAISED += [("thread", error) for error in ERRORS if not error.startswith("cancels")]  # a thread has no task


@pytest.mark.parametrize(("kind", "error"), RAISED)
@pytest.mark.parametrize("hook", ASKED)
async def test_what_a_hook_raises(
    tmp_path: Path, error: str, hook: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a hook raises is logged in its name and counted, and the request is answered without it."""
    wait = "    await asyncio.sleep(0)\n" if kind == "later" else ""
    define = "async def" if kind == "later" else "def" if kind == "thread" else kind
    source = f"{HEAD}{define} {hook}():\n{wait}    {ERRORS[error]}\n"
    table = {"plugins": {"bad": {"thread": kind == "thread"}}}
    runtime = scripted_runtime(tmp_path, table, bad=source)
    for count in (1, 2):
        assert await answers(runtime)
        assert bad(runtime).failures == count
    assert f"plugin 'bad' failed in {hook}: " in caplog.text
    assert runtime.health()["plugin_failures"] == {"bad": 2}


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("error", ERRORS)
async def test_a_failure_that_is_fatal(tmp_path: Path, error: str, kind: str) -> None:
    """With ``on_error = "fail"`` each of them fails the request in the plugin's name, and nothing else."""
    source = f"{HEAD}{kind} rewrite_request():\n    {ERRORS[error]}\n"
    runtime = scripted_runtime(tmp_path, {"plugins": {"bad": {"on_error": "fail"}}}, bad=source)
    told = failure(await collect(runtime.gateway, question()))
    assert (told.status, told.code) == (500, "plugin_failed")


THROUGH = "async def wrap_events(events):\n    async for event in events:\n        yield event"
WRAPPED = {
    "call": "def wrap_events(events):\n    {}",
    "first": "async def wrap_events(events):\n    {}\n    yield",
    "between": f"{THROUGH}\n        {{}}",
    "end": f"{THROUGH}\n    {{}}",
    "aiter": (
        "def wrap_events(events):\n    class Wrapped:\n        def __aiter__(self):\n            {}\n"
        "    return Wrapped()"
    ),
    "anext": (
        "def wrap_events(events):\n    class Wrapped:\n        __aiter__ = lambda self: self\n"
        "        async def __anext__(self):\n            {}\n    return Wrapped()"
    ),
}
# Exceptions that end an iteration in Python are not failures of it.
NO_FAILURE = {("anext", "StopAsyncIteration")}


@pytest.mark.parametrize("where", WRAPPED)
@pytest.mark.parametrize("error", [name for name in ERRORS if not name.startswith("cancels")])
async def test_what_an_iterator_raises(
    tmp_path: Path, where: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an iterator around an answer raises ends that answer in the plugin's name."""
    runtime = scripted_runtime(tmp_path, bad=HEAD + WRAPPED[where].format(ERRORS[error]))
    backend: Any = runtime.backends["claude"]
    if where in {"call", "end"}:  # before the answer begins, or after it has ended
        assert await answers(runtime)
        assert bad(runtime).failures == 1
        return

    told = failure(await collect(runtime.gateway, question()))
    assert told.status == 500
    assert not is_cancelled()
    if (where, error) not in NO_FAILURE:
        assert told.code == "plugin_failed"
        assert "plugin 'bad' failed in wrap_events" in caplog.text
    assert backend.closed == len(backend.asked)


@pytest.mark.parametrize("error", ERRORS)
async def test_what_a_cleanup_raises(tmp_path: Path, error: str) -> None:
    """What a plugin's generator raises while it is closed is logged; the disconnect is handled as usual."""
    source = (
        "async def wrap_events(events):\n    try:\n        async for event in events:\n"
        f"            yield event\n    finally:\n        {ERRORS[error]}\n"
    )
    runtime = scripted_runtime(tmp_path, bad=HEAD + source)
    events = runtime.gateway.answer(question(), "test")
    await anext(events)
    await events.aclose()
    assert runtime.backends["claude"].closed == 1  # type: ignore[attr-defined]  # the scripted one
    assert bad(runtime).failures == (0 if error == "GeneratorExit" else 1)  # which is how a generator closes
    assert not is_cancelled()


@pytest.mark.parametrize("given", ["[]", "5", "iter(())", '"text"', "object()"])
async def test_what_is_no_iterator(tmp_path: Path, given: str, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that returns something other than an async iterator is reported and left out."""
    runtime = scripted_runtime(tmp_path, bad=f"{HEAD}def wrap_events(events):\n    return {given}\n")
    assert await answers(runtime)
    assert "which is no async iterator" in caplog.text


@pytest.mark.parametrize("event", ["None", "5", '"text"', "PartDelta", "{}"])
async def test_what_is_no_event(tmp_path: Path, event: str, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that yields something other than events ends the answer in its name."""
    runtime = scripted_runtime(tmp_path, bad=f"{HEAD}async def wrap_events(events):\n    yield {event}\n")
    assert failure(await collect(runtime.gateway, question())).code == "plugin_failed"
    assert "which is no event" in caplog.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("where", ["first", "between"])
async def test_an_iterator_that_cancels(tmp_path: Path, where: str, stream: bool) -> None:
    """An iterator that cancels the task it runs in ends its own answer, which is reported as a failure."""
    source = HEAD + WRAPPED[where].format("asyncio.current_task().cancel(); await asyncio.sleep(5)")
    async with LiveProxy(tmp_path, bad=source).serving() as proxy:
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        answer = await proxy.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == (200 if stream and where == "between" else 500)
        assert "the proxy failed; its log has the details" in answer.text
        proxy.plugin("bad", "")
        await proxy.changed()
        assert (await proxy.ask()).status_code == 200


# --- a backend of a plugin's


@pytest.mark.parametrize("error", [name for name in ERRORS if not name.startswith("cancels")])
async def test_what_a_backend_raises(tmp_path: Path, error: str) -> None:
    """A backend that raises what would end the process ends only its answer."""
    runtime = scripted_runtime(tmp_path)
    backend: Any = runtime.backends["claude"]
    namespace: dict[str, Any] = {"asyncio": asyncio, "__name__": __name__}
    exec(f"async def step():\n    {ERRORS[error]}", namespace)
    backend.script[3:3] = [namespace["step"]]
    told = failure(await collect(runtime.gateway, question()))
    assert (told.status, told.code) == (500, "internal_error")


# --- a dialect of a plugin's


DIALECT = """
import asyncio
from claude_max_proxy import Message, Request, Text, hookimpl
from claude_max_proxy.dialect import Dialect, Exchange

class Writer:
    def write(self, event):
        {}
        return b""
    def keep_alive(self):
        return b""
    def whole(self, reply):
        {}
        return b"whole"

class Odd(Dialect):
    name = "odd"
    routes = ("/odd",)
    def open(self, body):
        if body == b"read":
            {}
        request = Request("echo", messages=[Message("user", [Text("hi")])], stream=body == b"stream")
        return Exchange(request, Writer())
    def error(self, error):
        return error.message.encode()

@hookimpl
def register_dialects(register):
    register(Odd())
"""


# A coroutine cannot tell a GeneratorExit from its own end, so the server, and no dialect, answers that.
@pytest.mark.parametrize("body", ["read", "whole", "stream"])
@pytest.mark.parametrize("error", [name for name in ERRORS if name[:7] not in {"cancels", "Generat"}])
async def test_what_a_dialect_raises(tmp_path: Path, error: str, body: str) -> None:
    """A dialect that raises what would end the process fails only its own request."""
    source = DIALECT.format(*(ERRORS[error],) * 3)
    async with LiveProxy(tmp_path, odd=source).serving() as proxy:
        answer = await proxy.http.post("/odd", content=body)
        assert (answer.status_code, answer.text) == (500, "the proxy failed; its log has the details")
        assert (await proxy.ask()).status_code == 200


# --- built and announced


@pytest.mark.parametrize("hook", REGISTERED)
@pytest.mark.parametrize("error", [name for name in ERRORS if not name.startswith("cancels")])
def test_what_a_registration_raises(tmp_path: Path, error: str, hook: str) -> None:
    """Whatever a registration raises is an error of the configuration, in the plugin's name."""
    source = f"{HEAD}def {hook}():\n    {ERRORS[error]}\n"
    folder = plugin_folder(tmp_path, bad=source)
    register: Any = getattr(Plugins(DropIns([folder]).plugins(), PluginsConfig()), hook)
    with pytest.raises(ConfigError, match=f"plugin 'bad' failed in {hook}"):
        register(print, *((Config(), {}) if hook == "register_checks" else ()))


@pytest.mark.parametrize("error", ERRORS)
def test_what_an_import_raises(tmp_path: Path, error: str) -> None:
    """Whatever an import raises makes the file a problem by name, and stops no other."""
    runtime = scripted_runtime(tmp_path, bad=f"import asyncio\n{ERRORS[error]}\n")
    assert "bad.py:2: the plugin cannot be imported" in runtime.health()["plugin_problems"]["bad"]


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("hook", ["configured", "shutdown"])
@pytest.mark.parametrize("error", ERRORS)
async def test_what_an_announcement_raises(tmp_path: Path, error: str, hook: str, kind: str) -> None:
    """Whatever is raised when a configuration changes, the proxy starts, reloads, and ends."""
    source = f"{HEAD}{kind} {hook}():\n    {ERRORS[error]}\n"
    async with LiveProxy(tmp_path, bad=source).serving() as proxy:
        for number in range(2):
            assert (await proxy.ask()).status_code == 200
            proxy.plugin("bad", f"{source}# {number}\n")
            proxy.write(TOML + f'm{number} = "claude/one"\n')
            await proxy.changed()
        await proxy.until(lambda: len(proxy.live._alive) == 1)
        assert (await proxy.ask()).status_code == 200
        assert "task_problems" not in await proxy.health()


@pytest.mark.parametrize("where", ["import", "register_backends", "register_dialects"])
@pytest.mark.parametrize("error", ERRORS)
async def test_a_reload_that_fails(tmp_path: Path, error: str, where: str) -> None:
    """A change that fails with any exception is a problem by name, and the next one takes effect."""
    code = ERRORS[error] if where == "import" else f"@hookimpl\ndef {where}():\n    {ERRORS[error]}"
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.live.runtime
        proxy.plugin("bad", f"import asyncio\nfrom claude_max_proxy import hookimpl\n{code}\n")
        await proxy.until(lambda: before.problem or proxy.live.runtime is not before)
        assert re.search(r"plugin '?\S*bad|bad\.py:\d+: the plugin ", str(await proxy.health()))
        assert (await proxy.ask()).status_code == 200
        runtime = proxy.live.runtime
        proxy.plugin("bad", "")
        await proxy.until(lambda: proxy.live.runtime is not runtime)
        assert not {"config_problem", "plugin_problems"} & set(await proxy.health())


# --- what never ends


STUBBORN = """async def {}():
    while HOLD:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
"""


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for tasks that ignore their cancellation."""
    monkeypatch.setattr(bounded, "GRACE", 0.1)


@pytest.mark.parametrize("hook", ASKED)
async def test_a_hook_that_ignores_its_cancellation(
    tmp_path: Path, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook that ignores its time limit is abandoned, counted and named; the request is answered."""
    table = {"plugins": {"bad": {"timeout": 0.1}}}
    runtime = scripted_runtime(tmp_path, table, bad=HEAD + STUBBORN.format(hook))
    async with asyncio.timeout(20):
        assert await answers(runtime)
    assert bad(runtime).failures == 1
    assert f"plugin 'bad' ignores its cancellation in {hook}: abandoned" in caplog.text
    await _let_go(runtime)


async def test_one_that_is_abandoned_too_often(tmp_path: Path) -> None:
    """If many calls of a hook never end, it is not called any more, so that they do not fill the memory."""
    table = {"plugins": {"bad": {"timeout": 0.01}}}
    runtime = scripted_runtime(tmp_path, table, bad=HEAD + STUBBORN.format("rewrite_request"))
    for _ in range(20):
        assert await answers(runtime)
    left = [task for task in asyncio.all_tasks() if task.get_name() == "plugin-bad-rewrite_request"]
    assert (len(left), bad(runtime).failures) == (16, 20)
    await _let_go(runtime)


@pytest.mark.parametrize("stubborn", [False, True], ids=["ends", "stubborn"])
@pytest.mark.parametrize("hook", ASKED)
async def test_a_real_cancellation_goes_through(tmp_path: Path, hook: str, stubborn: bool) -> None:
    """If the client disconnects while a hook waits, the hook is cancelled, and so is the request."""
    source = STUBBORN if stubborn else "async def {}():\n    await asyncio.sleep(3600)\n"
    table = {"plugins": {"bad": {"timeout": 60.0, "on_error": "fail"}}}
    runtime = scripted_runtime(tmp_path, table, bad=HEAD + source.format(hook))
    task = asyncio.get_running_loop().create_task(collect(runtime.gateway, question()))
    await _reaches(hook)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 20)
    assert task.cancelled()
    assert bad(runtime).failures == 0
    await _let_go(runtime)


async def _reaches(hook: str) -> None:
    async with asyncio.timeout(20):
        while not any(task.get_name() == f"plugin-bad-{hook}" for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)


async def _let_go(runtime: Runtime) -> None:
    """End what was abandoned, since the test's own loop would wait for it."""
    bad(runtime).module.HOLD = False
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("plugin-bad-")]
    for task in left:
        task.cancel()
    await asyncio.gather(*left)


async def test_a_cancelled_answer_is_no_failure(tmp_path: Path) -> None:
    """If the client disconnects in the middle of an answer that a plugin wraps, no plugin is blamed."""
    runtime = scripted_runtime(tmp_path, bad=HEAD + THROUGH)
    runtime.backends["claude"].script[3:3] = [SILENCE]  # type: ignore[attr-defined]  # the scripted one
    task = asyncio.get_running_loop().create_task(collect(runtime.gateway, question()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bad(runtime).failures == 0
    assert runtime.backends["claude"].closed == 1  # type: ignore[attr-defined]  # the scripted one
