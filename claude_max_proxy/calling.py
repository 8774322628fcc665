"""One plugin's implementation of one hook: called by itself, within its time, its failures told in its name.

A request passes some fifty of these with ten plugins, so calling one that does nothing costs next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.plugin import Plugin


logger = logging.getLogger(__name__)
# Nothing that these do changes an answer, so nothing that they raise does either.
_ANNOUNCEMENTS = frozenset({"configured", "log_request", "shutdown"})


class Implementation:
    """A function of a plugin's that implements ``hook`` and takes the arguments of these ``names``."""

    def __init__(
        self, plugin: Plugin, hook: str, function: Callable[..., Any], names: tuple[str, ...]
    ) -> None:
        """Remember what is called, and as whose."""
        self.plugin = plugin
        self._hook = hook
        self._function = function
        self._names = names
        self._decides = hook not in _ANNOUNCEMENTS

    def call(self, arguments: dict[str, Any]) -> Any:
        """Call it, with the plugin's own settings; raise what it raises."""
        arguments["settings"] = self.plugin.settings
        return self._function(*[arguments[name] for name in self._names])

    def begin(self, arguments: dict[str, Any]) -> Any:
        """Call it; give its answer, or what :meth:`finish` waits for, or ``None`` when it failed.

        Raises :class:`ProxyError` where the failure decides the request.
        """
        began = time.monotonic()
        try:
            answer = self.call(arguments)
        except Exception as error:  # a plugin's failure never stops a neighbour
            return self.fail(error)
        if time.monotonic() - began > self.plugin.policy.timeout:
            logger.warning("plugin %r held everything up in %s: make it async", self.plugin.name, self._hook)
        return answer

    async def finish(self, answer: Awaitable[Any]) -> Any:
        """Wait for the answer of an implementation that is ``async``, as long as its plugin may take."""
        try:
            async with asyncio.timeout(self.plugin.policy.timeout):
                return await answer
        except Exception as error:  # the same
            return self.fail(error)

    def fail(self, error: Exception, *, fatal: bool = False) -> None:
        """Count and tell a failure; raise where it ends the request."""
        if self._decides and isinstance(error, ProxyError):
            raise error
        plugin = self.plugin
        plugin.failures += 1
        frames = "".join(traceback.format_list(_own_frames(plugin.module, error)))
        logger.error("plugin %r failed in %s: %r\n%s", plugin.name, self._hook, error, frames.rstrip())
        if fatal or (self._decides and plugin.policy.on_error == "fail"):
            message = f"the plugin {plugin.name!r} failed in {self._hook}"
            raise InternalError(message, code="plugin_failed") from error


def _own_frames(module: ModuleType, error: Exception) -> list[traceback.FrameSummary]:
    path = getattr(module, "__file__", None)
    for raised in (error, error.__cause__):  # a timeout's cause says where the plugin waited
        frames = traceback.extract_tb(raised.__traceback__) if raised else []
        own = [index for index, frame in enumerate(frames) if frame.filename == path]
        if own:
            return list(frames[own[0] :])
    return list(traceback.extract_tb(error.__traceback__))
