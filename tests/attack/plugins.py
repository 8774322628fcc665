"""Plugins that raise everything there is, do not stop, block everything, or cannot be read."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attack.connections import chat_body
from tests.attack.registry import attack, attacks
from tests.attack.stage import CHAT, Stage, status_of
from tests.end_to_end.running import until


RAISED = {
    "an exception": "RuntimeError('attack')",
    "KeyboardInterrupt": "KeyboardInterrupt()",
    "SystemExit": "SystemExit(3)",
    "GeneratorExit": "GeneratorExit()",
    "a cancellation": "asyncio.CancelledError()",
    "StopIteration": "StopIteration(1)",
    "StopAsyncIteration": "StopAsyncIteration()",
    "MemoryError": "MemoryError()",
    "RecursionError": "RecursionError()",
    "a group": "BaseExceptionGroup('attack', [KeyboardInterrupt(), ValueError()])",
    "an exception that cannot be told": "Mute()",
}
_MUTE = """
class Mute(Exception):
    def __repr__(self):
        raise RuntimeError("not even that")
    __str__ = __repr__
"""
_HOOKS = {
    "map_model": "request, config",
    "rewrite_request": "request",
    "select_backend": "request, target, backends",
    "log_request": "record",
}
_HOSTILE = """
import asyncio
from claude_max_proxy import hookimpl
{mute}
RAISED = {{{raised}}}

def boom(model, hook):
    kind, _, where = model.removeprefix("boom-").partition("-")
    if model.startswith("boom-") and where == hook:
        raise RAISED[int(kind)]()
"""
_HOOK = """
@hookimpl
{kind}def {hook}({arguments}):
    boom({what}.model, "{name}")
"""
_WRAP = """
@hookimpl
async def wrap_events(request, events):
    async for event in events:
        boom(request.model, "wrap_events")
        yield event
    boom(request.model, "wrap_events_end")
"""


def _source(kind: str) -> str:
    raised = ", ".join(f"{number}: lambda: {what}" for number, what in enumerate(RAISED.values()))
    hooks = "".join(
        _HOOK.format(
            kind=kind, hook=hook, arguments=arguments, what=arguments.split(",")[0], name=kind[:5] + hook
        )
        for hook, arguments in _HOOKS.items()
    )
    return _HOSTILE.format(raised=raised, mute=_MUTE) + hooks + ("" if kind else _WRAP)


async def lay(stage: Stage, name: str, source: str, *, wait: bool = True) -> None:
    """Put a plugin into the proxy's folder, and wait until the proxy has noticed it."""
    file = stage.proxy.work / "plugins" / f"{name}.py"
    file.write_text(textwrap.dedent(source))
    file.chmod(0o600)
    if wait:
        await reloaded(stage)


async def reloaded(stage: Stage) -> None:
    """Wait until a change of the files is in force, or refused."""
    lines = len(stage.proxy.log)
    words = ("is reloaded", "stays as it was", "ERROR")
    await until(lambda: any(word in line for line in stage.proxy.log[lines:] for word in words), 5)


@attack("hooks that raise", traceback=True, alone=True, quick=True)
async def _(stage: Stage) -> None:
    """Whatever a request's hook raises, the request goes on without it."""
    await lay(stage, "hostile_sync", _source(""))
    await lay(stage, "hostile_async", _source("async "))
    names = [f"{kind}{hook}" for hook in _HOOKS for kind in ("", "async")] + [
        "wrap_events",
        "wrap_events_end",
    ]
    for number, told in enumerate(RAISED):
        for name in names:
            for stream in (False, True):
                model = f"boom-{number}-{name}"
                reply = await stage.post_json(CHAT, chat_body(model=model, stream=stream), within=10)
                # an answer that a plugin changes may end in an error; a request may not
                right = status_of(reply) == 200 or (name.startswith("wrap") and status_of(reply) == 500)
                stage.check(right, f"{name} raised {told}: {status_of(reply)}")
                if stage.proxy.process.returncode is not None or len(stage.problems) > 20:
                    return


MOMENTS = {
    "at its import": "import asyncio{mute}\nraise {what}",
    "in register_backends": "{head}\n@hookimpl\ndef register_backends(register):\n    raise {what}",
    "in register_dialects": "{head}\n@hookimpl\ndef register_dialects(register):\n    raise {what}",
    "in configured": "{head}\n@hookimpl\ndef configured(old, new):\n    raise {what}",
    "in configured, async": "{head}\n@hookimpl\nasync def configured(old, new):\n    raise {what}",
    "in shutdown": "{head}\n@hookimpl\ndef shutdown():\n    raise {what}",
    "when a backend is made": (
        "{head}\nfrom claude_max_proxy import Settings\n@hookimpl\ndef register_backends(register):\n"
        "    def make(name, settings):\n        raise {what}\n    register('bad', Settings, make)"
    ),
}


@attacks(
    *((f"a plugin that fails {moment}", source) for moment, source in MOMENTS.items()),
    traceback=True,
    alone=True,
)
async def _(stage: Stage, source: str) -> None:
    """A plugin that fails when it is loaded, or when a configuration changes, stops nothing else."""
    head = "import asyncio\nfrom claude_max_proxy import hookimpl" + _MUTE
    for what in RAISED.values():
        await lay(stage, "hostile", source.format(what=what, head=head, mute=_MUTE))
        stage.check(
            status_of(await stage.ask("hi", within=10)) == 200, f"{what}: it does not answer any more"
        )
        stage.check(stage.proxy.process.returncode is None, f"{what}: it ended")
        if stage.problems:
            return
    (stage.proxy.work / "plugins" / "hostile.py").unlink()
    await reloaded(stage)


STUBBORN = {
    "a hook that goes on when it is cancelled": """
        @hookimpl
        async def rewrite_request(request):
            if request.model != "boom-1":
                return
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        """,
    "events that go on when they are cancelled": """
        @hookimpl
        async def wrap_events(request, events):
            async for event in events:
                yield event
                while request.model == "boom-1":
                    try:
                        await asyncio.sleep(3600)
                    except BaseException:
                        pass
        """,
    "events that never end": """
        @hookimpl
        async def wrap_events(request, events):
            async for event in events:
                yield event
                while request.model == "boom-1" and type(event).__name__ == "PartDelta":
                    yield event
                    await asyncio.sleep(0)
        """,
    "a hook that blocks for two seconds": """
        @hookimpl
        def rewrite_request(request):
            if request.model == "boom-1":
                time.sleep(2)
        """,
    "an async hook that blocks for two seconds": """
        @hookimpl
        async def log_request(record):
            if record.model == "boom-1":
                time.sleep(2)
        """,
}


@attacks(*STUBBORN.items(), alone=True, traceback=True, limit=90)
async def _(stage: Stage, source: str) -> None:
    """Others are served, and the request itself ends when its client leaves, or before."""
    await lay(
        stage,
        "stubborn",
        "import asyncio, time\nfrom claude_max_proxy import hookimpl\n" + textwrap.dedent(source),
    )
    for stream in (False, True):
        reply = await stage.post_json(CHAT, chat_body(model="boom-1", stream=stream), within=12)
        stage.tried += 1
        told = f"stream {stream}: {status_of(reply)}"
        stage.check(status_of(reply) in (0, 200, 500), told)
    began = asyncio.get_running_loop().time()
    stage.ends = True
    status = await stage.proxy.stop()
    stage.check(status == 0, f"told to stop, it ended with {status}")
    stage.check(asyncio.get_running_loop().time() - began < 15, "it took more than 15 s to end")


@attack("threads that never end", alone=True, traceback=True)
async def _(stage: Stage) -> None:
    """A plugin's thread that never ends, daemon or not, or in a pool, does not keep the proxy from ending."""
    source = """
    import asyncio, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from claude_max_proxy import hookimpl

    POOL = ThreadPoolExecutor()

    def forever():
        while True:
            time.sleep(60)

    @hookimpl
    async def rewrite_request(request):
        threading.Thread(target=forever, daemon=False).start()
        POOL.submit(forever)
        asyncio.get_running_loop().run_in_executor(None, forever)
    """
    await lay(stage, "threads", source)
    for _ in range(3):
        stage.check(status_of(await stage.ask("hi", within=10)) == 200, "it does not answer")
    began = asyncio.get_running_loop().time()
    stage.ends = True
    status = await stage.proxy.stop(signal.SIGTERM)
    stage.check(status == 0, f"told to stop, it ended with {status}")
    stage.check(asyncio.get_running_loop().time() - began < 15, "it took more than 15 s to end")


def _fifo(file: Path) -> None:
    os.mkfifo(file, 0o600)


def _text(text: str | bytes) -> Callable[[Path], Any]:
    data = text.encode() if isinstance(text, str) else text
    return lambda file: (file.write_bytes(data), file.chmod(0o600))


ODD_FILES: list[tuple[str, Callable[[Path], Any]]] = [
    ("a FIFO", _fifo),
    ("a folder", lambda file: file.mkdir(0o700)),
    ("a link to itself", lambda file: file.symlink_to(file.name)),
    ("a link to nowhere", lambda file: file.symlink_to("nowhere")),
    ("a link to a device", lambda file: file.symlink_to("/dev/zero")),
    ("a syntax error", _text("def")),
    ("bytes", _text(bytes(range(256)))),
    ("UTF-16", _text("x = 1".encode("utf-16"))),
    ("deep brackets", _text("x = " + "(" * 100_000)),
    ("a deep sum", _text("x = " + "1+" * 100_000 + "1")),
    ("50 MB of comment", _text(b"#" * 50_000_000)),
    ("an import of itself", _text("import claude_max_proxy_drop_in_odd")),
    ("an unknown hook", _text("from claude_max_proxy import hookimpl\n@hookimpl\ndef rewrite(request): ...")),
    (
        "an unknown argument",
        _text("from claude_max_proxy import hookimpl\n@hookimpl\ndef rewrite_request(other): ..."),
    ),
    ("writable by others", lambda file: (file.touch(), file.chmod(0o666))),
]


GOOD = {"50 MB of comment", "an import of itself"}
"""Odd, but nothing is wrong with them that /health would have to name."""


@attacks(
    *((f"a plugin that is {name}", (make, name not in GOOD)) for name, make in ODD_FILES),
    alone=True,
    traceback=True,
    memory=400,
)
async def _(stage: Stage, case: tuple[Callable[[Path], Any], bool]) -> None:
    """Others are served, /health names the file, and when it is removed, changes take effect again."""
    file = stage.proxy.work / "plugins" / "odd.py"
    make, is_told = case
    make(file)
    await asyncio.sleep(2)
    stage.check(status_of(await stage.ask("hi", within=10)) == 200, "it does not answer")
    async with stage.client(within=5) as http:
        told = (await http.get("/health")).text
        stage.check("odd" in told or not is_told, "/health does not say what is wrong with the file")
    if file.is_dir() and not file.is_symlink():
        file.rmdir()
    else:
        file.unlink()
    toml = stage.proxy.work / "proxy.toml"
    toml.write_text(toml.read_text().replace("[models]\n", '[models]\nlater = "http/later"\n'))
    await reloaded(stage)
    await asyncio.sleep(1)
    stage.check(status_of(await stage.ask("hi", "later", within=10)) == 200, "a change is not live any more")
