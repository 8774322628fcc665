"""Finds out whose code blocks the event loop: a plugin's, which is named in the log, or ours."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from claude_max_proxy.plugin.plugin import Plugin


logger = logging.getLogger(__name__)
# Code that is not a plugin's is only logged after this many seconds, since the machine may just be busy.
_NOBODYS = 5.0
_FRAMES = 8

Frames = list[traceback.FrameSummary]


class Blame:
    """Logs which plugin blocks the event loop, of those that are in use when it happens."""

    def __init__(self, plugins: Callable[[], Iterable[Plugin]]) -> None:
        """Ask ``plugins()`` each time for the plugins in use."""
        self._plugins = plugins

    def tell(self, seconds: float, stack: Frames) -> None:
        """Log where the loop's thread has been for ``seconds``, and count that as a failure of the plugin."""
        for plugin in list(self._plugins()):
            own = [index for index, frame in enumerate(stack) if _is_of(plugin, frame.filename)]
            if own:
                plugin.failures += 1
                logger.error(
                    "plugin %r has held everything up for %.1f s, and still does; make it async, or set "
                    "thread = true in [plugins.%s]. It is at\n%s",
                    *(plugin.name, seconds, plugin.name, _lines(stack[own[0] :])),
                )
                return

        if seconds >= _NOBODYS:
            logger.error("the event loop has been held up for %.1f s, at\n%s", seconds, _lines(stack))


def _is_of(plugin: Plugin, filename: str) -> bool:
    """Return whether a file belongs to a plugin that is not built in: its file, or a file of its package."""
    path = getattr(plugin.module, "__file__", None)
    if path is None or plugin.origin == "built-in":
        return False
    if Path(path).name == "__init__.py":
        return filename.startswith(str(Path(path).parent))
    return bool(filename == path)


def _lines(frames: Frames) -> str:
    return "".join(traceback.format_list(frames[-_FRAMES:])).rstrip()
