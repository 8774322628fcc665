"""Checks that an answer calls the tool that the client insists on, where the model could not be forced to.

Models that always think refuse to be forced. The backend then leaves the choice to the model, and notes
``tool_choice`` as ignored. Nearly always, the model calls. If it does not, the answer fails, since the client
relies on the call. The client has already received a streamed answer by then, so it ends with the failure
instead of its proper end.
"""

from __future__ import annotations

from contextlib import aclosing

from claude_max_proxy.errors import ToolNotCalled
from claude_max_proxy.events import Events, Finished, PartStarted
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.request import Request


async def called(events: Events, request: Request) -> Events:
    """Yield an answer's events; raise :class:`ToolNotCalled` instead of its end if it lacks the call.

    An answer that was cut off or refused is not checked; its reason says what it is.
    """
    names: set[str] = set()
    async with aclosing(events):
        async for event in events:
            match event:
                case PartStarted(kind="tool_call", name=name):
                    names.add(name)
                case Finished(reason="stop" | "tool_calls") if "tool_choice" in request.ignored:
                    _check(names, request)
                case _:
                    pass
            yield event


def _check(names: set[str], request: Request) -> None:
    wanted = request.tool_choice
    if wanted.name not in names if wanted.mode == "named" else not names:
        tool = f"the tool {shown(wanted.name)}" if wanted.mode == "named" else "a tool"
        raise ToolNotCalled(
            f"the model did not call {tool}, though tool_choice demands it: this model always thinks and "
            "cannot be forced to call"
        )
