"""The request that makes a new process load what its first answer needs, before a client waits for it. Pure.

The request is ``get_context_usage``. Newer CLIs answer it by themselves if a summary is enough. Older ones
ask the provider to count tokens for it, a dozen times, which no client has asked for; so until they have
answered, their requests are sent to an address where nobody listens. Measurements have shown that the process
later sends the provider the same as without a rehearsal.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from claude_max_proxy import Agent
from claude_max_proxy.backends.claude_cli.protocol import REHEARSAL, control_request, line


# A port that nobody can listen on. With https, an HTTP proxy in between learns no more than this address.
NOWHERE = "https://127.0.0.1:0"
# This is no URL, so the CLI fails at once and does not try again.
_NO_URL = "nowhere"
_SUMMARY_SINCE = (2, 1, 331)
_BASE_URL = "ANTHROPIC_BASE_URL"
_OTHER_PROVIDERS = "CLAUDE_CODE_USE_"


class Rehearsal(msgspec.Struct, frozen=True):
    """Lines for a new process: ``begin`` is sent at once, ``end`` when the answer to it has come."""

    begin: bytes = b""
    end: bytes = b""


def rehearsal(
    version: tuple[int, ...], environment: Mapping[str, str], agent: Agent | None = None
) -> Rehearsal:
    """Return the rehearsal for a CLI of this version that runs in ``environment``.

    It is empty for an older CLI whose requests cannot be diverted: another provider has its address in other
    settings, and an agent may have a provider's address in its own settings.
    """
    if version >= _SUMMARY_SINCE:
        return Rehearsal(_context_usage(detail="summary"))
    if agent is not None or any(name.startswith(_OTHER_PROVIDERS) for name in environment):
        return Rehearsal()

    return Rehearsal(_lead(_NO_URL) + _context_usage(), _lead(environment.get(_BASE_URL, "")))


def lead_nowhere() -> bytes:
    """Return the line after which a CLI sends its requests to an address where nobody listens."""
    return _lead(NOWHERE)


def _lead(base_url: str) -> bytes:
    _, written = control_request("apply_flag_settings", settings={"env": {_BASE_URL: base_url}})
    return written


def _context_usage(**fields: str) -> bytes:
    request = {"subtype": "get_context_usage", **fields}
    return line("control_request", request_id=REHEARSAL, request=request)
