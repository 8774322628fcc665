"""What ``claude-max-proxy doctor`` checks of a CLI: that it is there, its version and its login."""

from __future__ import annotations

from functools import partial

import msgspec

from claude_max_proxy import Check, Finding
from claude_max_proxy.backends.claude_cli.advice import how_to_log_in
from claude_max_proxy.backends.claude_cli.command import find_command
from claude_max_proxy.backends.claude_cli.installation import OLDEST, check_version
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.short_run import Said, run_once
from claude_max_proxy.errors import BackendUnavailable


_TIMEOUT = 20.0
_MARGIN = 10.0
_UPDATE = "run `claude update` or `npm install -g @anthropic-ai/claude-code`"


class AuthStatus(msgspec.Struct, rename="camel"):
    """The fields of ``claude auth status --json`` that we read; not who the user is."""

    logged_in: bool
    auth_method: str = ""
    subscription_type: str | None = None


def checks(name: str, settings: ClaudeCliSettings) -> list[Check]:
    """Return the checks of ``[backends.<name>]``. None of them asks the provider anything."""
    cli, version, login = f"{name}: CLI", f"{name}: CLI version", f"{name}: login"
    return [
        Check(cli, partial(_found, settings)),
        Check(version, partial(_version, settings), _TIMEOUT + _MARGIN, needs=(cli,)),
        Check(login, partial(_login, settings), _TIMEOUT + _MARGIN, needs=(version,)),
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
        version = check_version(said.output)
    except BackendUnavailable as error:
        return Finding("fail", error.message.partition(": run ")[0], _UPDATE)
    return Finding("ok", f"{version}; {needed} or newer is needed")


async def _login(settings: ClaudeCliSettings) -> Finding:
    """Ask the CLI about its login: only the CLI can read its credentials, and it does not print them."""
    try:
        said = await _run(settings, "auth", "status", "--json")
    except BackendUnavailable as error:
        return Finding("warn", f"not known: {error.message}", "the round trips below show whether it works")
    try:
        status = msgspec.json.decode(said.output, type=AuthStatus)
    except msgspec.MsgspecError:
        return Finding(
            "warn",
            f"not known: `claude auth status` says {said.output.strip()[:80]!r}",
            "the round trips below show whether it works",
        )
    if not status.logged_in:
        run = how_to_log_in(find_command(settings.command), settings.env)
        return Finding(
            "fail", "Not logged in", f"Run: {run}, or set CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY"
        )
    plan = f" ({status.subscription_type})" if status.subscription_type else ""
    return Finding("ok", f"logged in by {status.auth_method}{plan}")


async def _run(settings: ClaudeCliSettings, *words: str) -> Said:
    return await run_once(find_command(settings.command), *words, env=settings.env, timeout=_TIMEOUT)
