"""What ``claude-max-proxy doctor`` looks at in a CLI: that it is there, its version, its login."""

from __future__ import annotations

from functools import partial

import msgspec

from claude_max_proxy import BackendUnavailable, Check, Finding
from claude_max_proxy.backends.claude_cli.command import find_command
from claude_max_proxy.backends.claude_cli.installation import OLDEST, check_version
from claude_max_proxy.backends.claude_cli.once import Said, run_once
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


_TIMEOUT = 20.0
_MARGIN = 10.0
_UPDATE = "run `claude update` or `npm install -g @anthropic-ai/claude-code`"
_LOG_IN = "run `claude auth login`, or set CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY"


class AuthStatus(msgspec.Struct, rename="camel"):
    """What we take of ``claude auth status --json``: not who it is."""

    logged_in: bool
    auth_method: str = ""
    subscription_type: str | None = None


def checks(name: str, settings: ClaudeCliSettings) -> list[Check]:
    """Return the checks of ``[backends.<name>]``. None of them asks the provider anything."""
    return [
        Check(f"{name}: CLI", partial(_found, settings)),
        Check(f"{name}: CLI version", partial(_version, settings), _TIMEOUT + _MARGIN),
        Check(f"{name}: login", partial(_login, settings), _TIMEOUT + _MARGIN),
    ]


async def _found(settings: ClaudeCliSettings) -> Finding:
    try:
        return Finding("ok", " ".join(find_command(settings.command)))
    except BackendUnavailable as error:
        problem, _, remedy = error.message.partition("; ")
        return Finding("fail", problem, remedy)


async def _version(settings: ClaudeCliSettings) -> Finding:
    needed = ".".join(map(str, OLDEST))
    try:
        said = await _run(settings, "--version")
        version = check_version(said.output) if said else ""
    except BackendUnavailable as error:
        return Finding("fail", error.message.partition(": run ")[0], _UPDATE)
    return Finding("ok", f"{version}; {needed} or newer is needed") if version else _unknown()


async def _login(settings: ClaudeCliSettings) -> Finding:
    """Ask the CLI; only it knows its credentials, and it does not say them."""
    try:
        said = await _run(settings, "auth", "status", "--json")
    except BackendUnavailable as error:
        return Finding("warn", f"not known: {error.message}", "the round trips below show whether it works")
    if said is None:
        return _unknown()
    try:
        status = msgspec.json.decode(said.output, type=AuthStatus)
    except msgspec.MsgspecError:
        return Finding(
            "warn",
            f"not known: `claude auth status` says {said.output.strip()[:80]!r}",
            "the round trips below show whether it works",
        )
    if not status.logged_in:
        return Finding("fail", "the CLI is not logged in", _LOG_IN)
    plan = f" ({status.subscription_type})" if status.subscription_type else ""
    return Finding("ok", f"logged in by {status.auth_method}{plan}")


async def _run(settings: ClaudeCliSettings, *words: str) -> Said | None:
    """Run the CLI, or give ``None`` where there is none, which its own line says."""
    try:
        command = find_command(settings.command)
    except BackendUnavailable:
        return None
    return await run_once(command, *words, env=settings.env, timeout=_TIMEOUT)


def _unknown() -> Finding:
    return Finding("warn", "not known without a CLI")
