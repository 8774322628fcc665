"""``thread = true``: blocking hooks run on threads, in order, within their time, with a copy."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import fold
from claude_max_proxy.runtime.runtime import Runtime
from tests.scripted import collect, failure, question, scripted_runtime


HEAD = "import threading, time\nfrom claude_max_proxy import hookimpl, InvalidRequest, Text\n"
ALL = (
    HEAD
    + """
seen = []
gate = threading.Event()

def note(hook):
    seen.append((hook, threading.current_thread().name, threading.current_thread().daemon))

@hookimpl
def map_model(request):
    note("map_model")
    request.state["mapped"] = True
    return "claude/mapped"

@hookimpl
def rewrite_request(request):
    note("rewrite_request")
    request.system += "A"
    request.messages[0].parts.append(Text("more"))
    request.state["list"] = request.state["mapped"]

@hookimpl
def select_backend(request, target):
    note("select_backend")
    return f"claude/{target.model}-selected"

@hookimpl
def wrap_events(events):
    note("wrap_events")

@hookimpl
def log_request(record):
    note("log_request")

@hookimpl
def configured(new):
    note("configured")

@hookimpl
def shutdown():
    note("shutdown")
"""
)
THREADED: dict[str, Any] = {"plugins": {"own": {"thread": True, "timeout": 5.0}}}


def own(runtime: Runtime) -> Any:
    """Return the plugin's module."""
    return next(plugin for plugin in runtime.plugins if plugin.name == "own").module


def failures(runtime: Runtime) -> int:
    """Return how often it failed."""
    return next(plugin for plugin in runtime.plugins if plugin.name == "own").failures


async def test_where_hooks_are_called(tmp_path: Path) -> None:
    """Plain hooks are called on separate daemon threads, ``wrap_events`` on the loop's thread, in order."""
    runtime = scripted_runtime(tmp_path, THREADED, own=ALL)
    await runtime.configured(None)
    assert fold(await collect(runtime.gateway, question())).text == "Hello!"
    await runtime.plugins.shutdown()
    seen = own(runtime).seen
    assert [hook for hook, _, _ in seen] == [
        "configured",
        *("map_model", "rewrite_request", "select_backend", "wrap_events", "log_request"),
        "shutdown",
    ]
    here = threading.current_thread().name
    for hook, name, daemon in seen:
        assert (name, daemon) == ((here, False) if hook == "wrap_events" else (f"plugin-own-{hook}", True))


async def test_changes_take_effect(tmp_path: Path) -> None:
    """What a hook on a thread returns and changes in its request reaches the backend."""
    runtime = scripted_runtime(tmp_path, THREADED, own=ALL)
    request = question()
    state = request.state
    await collect(runtime.gateway, request)
    asked, model = runtime.backends["claude"].asked[0]  # type: ignore[attr-defined]  # the scripted one
    assert (model, asked.system) == ("mapped-selected", "A")
    assert [part.text for part in asked.messages[0].parts] == ["hello", "more"]
    assert request.state is state
    assert state == {"mapped": True, "list": True}


SLOW = HEAD + "gate = threading.Event()\n\n@hookimpl\ndef rewrite_request(request):\n    {}\n"


async def test_it_holds_up_nobody(tmp_path: Path) -> None:
    """While a hook blocks its thread, the loop continues, and other requests are answered."""
    source = SLOW.format("request.model == 'sonnet' and gate.wait(30)")
    runtime = scripted_runtime(tmp_path, {"plugins": {"own": {"thread": True, "timeout": 60.0}}}, own=source)
    waiting = asyncio.get_running_loop().create_task(collect(runtime.gateway, question()))
    assert fold(await collect(runtime.gateway, question("opus"))).text == "Hello!"
    assert not waiting.done()
    own(runtime).gate.set()
    assert fold(await waiting).text == "Hello!"


@pytest.mark.parametrize("policy", ["skip", "fail"])
async def test_one_that_overruns(tmp_path: Path, policy: str, caplog: pytest.LogCaptureFixture) -> None:
    """A hook that takes too long is given up by name, and what it changes later has no effect."""
    source = SLOW.format("gate.wait(30); request.system = 'late'; request.state['late'] = True")
    table = {"plugins": {"own": {"thread": True, "timeout": 0.1, "on_error": policy}}}
    runtime = scripted_runtime(tmp_path, table, own=source)
    request = question()
    events = await collect(runtime.gateway, request)
    if policy == "fail":
        assert failure(events).code == "plugin_failed"
    else:
        assert fold(events).text == "Hello!"
    assert failures(runtime) == 1
    assert "plugin 'own' failed in rewrite_request: TimeoutError('it took longer than 0.1 s')" in caplog.text
    assert "in rewrite_request\n    gate.wait(30)" in caplog.text
    own(runtime).gate.set()
    await _ended("plugin-own-rewrite_request")
    assert (request.system, request.state) == ("", {})


async def test_a_refusal(tmp_path: Path) -> None:
    """One of our errors that is raised on a thread refuses the request, as in any hook."""
    runtime = scripted_runtime(tmp_path, THREADED, own=SLOW.format("raise InvalidRequest('not here')"))
    assert failure(await collect(runtime.gateway, question())).message == "not here"
    assert failures(runtime) == 0


async def test_threads_are_bounded(tmp_path: Path) -> None:
    """A hook has at most sixteen threads, including those that were given up; further calls wait for one."""
    runtime = scripted_runtime(
        tmp_path, {"plugins": {"own": {"thread": True, "timeout": 0.3}}}, own=SLOW.format("gate.wait(30)")
    )
    asked = [collect(runtime.gateway, question()) for _ in range(20)]
    for events in await asyncio.gather(*asked):
        assert fold(events).text == "Hello!"
    assert _count("plugin-own-rewrite_request") == 16
    own(runtime).gate.set()
    await _ended("plugin-own-rewrite_request")
    before = failures(runtime)
    await collect(runtime.gateway, question())
    assert failures(runtime) == before == 20


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """If the client disconnects, the thread is not waited for, and no plugin is blamed."""
    table = {"plugins": {"own": {"thread": True, "timeout": 60.0}}}
    runtime = scripted_runtime(tmp_path, table, own=SLOW.format("gate.wait(30)"))
    task = asyncio.get_running_loop().create_task(collect(runtime.gateway, question()))
    async with asyncio.timeout(20):
        while not _count("plugin-own-rewrite_request"):  # noqa: ASYNC110  # a thread has no event of the loop's
            await asyncio.sleep(0.01)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 15
    assert failures(runtime) == 0
    own(runtime).gate.set()
    await _ended("plugin-own-rewrite_request")


def _count(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


async def _ended(name: str) -> None:
    async with asyncio.timeout(20):
        while _count(name):  # noqa: ASYNC110  # a thread has no event of the loop's
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)
