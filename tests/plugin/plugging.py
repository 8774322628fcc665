"""Plugins made of functions."""

from __future__ import annotations

import asyncio
import types
from typing import Any

from claude_max_proxy import Request, hookimpl
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import Plugins


def module(name: str, *functions: Any, **members: Any) -> Plugin:
    """Return a plugin that consists of these functions."""
    made = types.ModuleType(name)
    for function in functions:
        setattr(made, function.__name__, function)
    for key, value in members.items():
        setattr(made, key, value)
    return Plugin(name, made, "test")


def rewriter(name: str, says: str | Exception, *, wait: float | None = None, **options: Any) -> Plugin:
    """Return a plugin that adds its words to the instructions, or fails, at once or after a wait."""

    def act(request: Request) -> None:
        if isinstance(says, Exception):
            raise says
        request.system += says

    def at_once(request: Request) -> None:
        act(request)

    async def later(request: Request) -> None:
        await asyncio.sleep(wait or 0)
        act(request)

    function: Any = at_once if wait is None else later
    return module(name, rewrite_request=hookimpl(function, **options))


def plugins(*loaded: Plugin, order: list[str] | None = None, **tables: Any) -> Plugins:
    """Register ``loaded`` under ``[plugins]``."""
    return Plugins(loaded, PluginsConfig(order=order or [], tables=tables))


async def rewritten(used: Plugins) -> str:
    """Return what the plugins make of empty instructions."""
    request = Request("m")
    await used.rewrite_request(request)
    return request.system
