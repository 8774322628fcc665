"""A runtime whose only backend is the scripted one in ``drop_ins/scripted.py``, for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from claude_max_proxy import Event, Failed, Message, Request, Text
from claude_max_proxy.config import Config, parse
from claude_max_proxy.gateway.gateway import Gateway
from claude_max_proxy.gateway.underway import Underway
from claude_max_proxy.plugin.drop_ins import DropIns
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from claude_max_proxy.runtime.context import RuntimeContext
from claude_max_proxy.runtime.runtime import Runtime


DROP_IN = Path(__file__).parent / "drop_ins" / "scripted.py"
SILENCE = 3600.0


def plugin_folder(path: Path, **sources: str) -> Path:
    """Make a folder, which nobody else can write to, with the scripted backend and ``sources`` by name."""
    folder = path / "plugins"
    folder.mkdir(mode=0o700)
    shutil.copyfile(DROP_IN, folder / "scripted.py")
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


def scripted_runtime(path: Path, table: dict[str, Any] | None = None, **sources: str) -> Runtime:
    """Build a runtime in which the backend ``claude`` is scripted."""
    folder = plugin_folder(path, **sources)
    table = table or {}
    backends = {"claude": {"type": "scripted"}, **table.get("backends", {})}
    plugins = {"paths": [str(folder)], **table.get("plugins", {})}
    return Runtime(parse({**table, "backends": backends, "plugins": plugins}, None))


def scripted_gateway(path: Path, *modules: Any, table: dict[str, Any] | None = None) -> tuple[Gateway, Any]:
    """Build a gateway with the scripted backend and further plugin objects; return both."""
    table = table or {}
    config = parse({**table, "backends": {"claude": {"type": "scripted"}}}, None)
    found = [*load_built_ins(), *DropIns([plugin_folder(path)]).plugins()]
    found += [Plugin(type(module).__name__.lower(), module, "test") for module in modules]
    plugins = Plugins(found, config.plugins)
    built: dict[str, Any] = {}

    def register(type_: str, settings: Any, build: Any) -> None:
        if type_ == "scripted":
            built["claude"] = build("claude", settings())

    plugins.register_backends(register)
    return Gateway(scripted_context(config, plugins, built), plugins), built["claude"]


def scripted_context(config: Config, plugins: Plugins, backends: dict[str, Any]) -> RuntimeContext:
    """Return what plugins see of a proxy of these parts."""
    return RuntimeContext(config, backends, plugins, Underway(), models=dict, health=dict, settings=dict)


def question(model: str = "sonnet", **fields: Any) -> Request:
    """Return a request of one word."""
    return Request(model, messages=[Message("user", [Text("hello")])], **fields)


async def collect(gateway: Gateway, request: Request) -> list[Event]:
    """Ask the gateway, and return all events."""
    return [event async for event in gateway.answer(request, "test")]


def failure(events: list[Event]) -> Any:
    """Return the error that ends these events."""
    last = events[-1]
    assert isinstance(last, Failed)
    return last.error
