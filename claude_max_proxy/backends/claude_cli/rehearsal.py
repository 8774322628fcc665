"""What a new process is asked before anybody needs it, so that it loads what its first answer needs. Pure.

``get_context_usage`` does that. Newer CLIs answer it by themselves when a summary is enough. Older ones let
the provider count tokens for it, a dozen times, which nobody asked for; so they are led nowhere until they
have answered. What goes to the provider afterwards is the same as without it, as was measured.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from claude_max_proxy import Agent
from claude_max_proxy.backends.claude_cli.protocol import REHEARSAL, control_request, line


# A port that nobody can listen on. By https, so that a proxy on the way is told no more than that.
NOWHERE = "https://127.0.0.1:0"
# With what is no URL the CLI fails at once, and tries nothing again.
_NO_URL = "nowhere"
_SUMMARY_SINCE = (2, 1, 331)
_BASE_URL = "ANTHROPIC_BASE_URL"
_OTHER_PROVIDERS = "CLAUDE_CODE_USE_"


class Rehearsal(msgspec.Struct, frozen=True):
    """Lines for a process: ``begin`` to send at once, ``end`` when the answer to it has come."""

    begin: bytes = b""
    end: bytes = b""


def rehearsal(
    version: tuple[int, ...], environment: Mapping[str, str], agent: Agent | None = None
) -> Rehearsal:
    """Return the rehearsal for a CLI of this version that runs in ``environment``.

    There is none for an older CLI that cannot be led nowhere: another provider's addresses are in other
    settings, and an agent's own settings may say where the provider is.
    """
    if version >= _SUMMARY_SINCE:
        return Rehearsal(_context_usage(detail="summary"))
    if agent is not None or any(name.startswith(_OTHER_PROVIDERS) for name in environment):
        return Rehearsal()

    return Rehearsal(_lead(_NO_URL) + _context_usage(), _lead(environment.get(_BASE_URL, "")))


def lead_nowhere() -> bytes:
    """Lead what a CLI asks next nowhere."""
    return _lead(NOWHERE)


def _lead(base_url: str) -> bytes:
    _, written = control_request("apply_flag_settings", settings={"env": {_BASE_URL: base_url}})
    return written


def _context_usage(**fields: str) -> bytes:
    request = {"subtype": "get_context_usage", **fields}
    return line("control_request", request_id=REHEARSAL, request=request)
