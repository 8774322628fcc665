"""What is known about the installed CLI: where it is, its version, its login, and what its models can do."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from claude_max_proxy.anthropic_messages import Abilities, abilities_of
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.claude_cli.protocol import (
    Account,
    Initialized,
    ModelUsage,
    OfferedModel,
)
from claude_max_proxy.errors import BackendUnavailable, NotLoggedIn


# The oldest version with which this proxy was seen to work.
OLDEST = (2, 1, 100)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_CLAUDE_INPUT = ("text", "image")
# For a model that we do not know, all parameters are passed on as they are; the provider can still refuse
# them.
_UNKNOWN = Abilities("one", known=False)


class Installation(msgspec.Struct):
    """What was learned at the start and from every answer.

    ``problem`` says why nothing can be answered, ``how_to_log_in`` which shell command logs the CLI in.
    ``has_plan`` says that the login is one with a plan, and no API key.
    """

    command: str = ""
    how_to_log_in: str = ""
    version: str = ""
    login: str = ""
    subscription: str = ""
    has_plan: bool = False
    logged_in: bool | None = None
    problem: str = ""
    offered: dict[str, OfferedModel] = msgspec.field(default_factory=dict)
    usages: dict[str, ModelUsage] = msgspec.field(default_factory=dict)

    def learn_models(self, initialized: Initialized) -> None:
        """Remember what an answer to ``initialize`` says."""
        self.offered.update({model.value: model for model in initialized.models})
        self.logged_in, self.login = _login(initialized.account)
        self.subscription = initialized.account.subscription
        self.has_plan = initialized.account.token_source not in {"", "none"}

    def not_logged_in(self, error: NotLoggedIn) -> NotLoggedIn:
        """Return the error with what to run."""
        return NotLoggedIn(self.advised(error.message), logged=self.advised(error.logged))

    def advised(self, problem: str) -> str:
        """Say how to log in, after a problem that this solves."""
        return f"{problem}. Run: {self.how_to_log_in}"

    def works(self) -> None:
        """Note that the CLI answers; if it was not logged in before, it is now."""
        if self.logged_in is False:
            self.logged_in, self.login = True, "logged in"

    def learn_usages(self, usages: dict[str, ModelUsage]) -> None:
        """Remember what a result says about the models that were used."""
        for name, usage in usages.items():
            known = self.usages.setdefault(name, ModelUsage())
            known.context_window = usage.context_window or known.context_window
            known.max_output_tokens = usage.max_output_tokens or known.max_output_tokens

    def describe(self, model: str) -> ModelInfo:
        """Return what is known about ``model``, an alias or a full name."""
        offered = self._offer(model)
        name = offered.resolved if offered else model
        usage = self.usages.get(name) or self.usages.get(name.removesuffix("[1m]"))
        return ModelInfo(
            name=name,
            context_window=usage.context_window if usage else None,
            max_output_tokens=usage.max_output_tokens if usage else None,
            input_modalities=_CLAUDE_INPUT,
            reasoning=offered.adaptive_thinking or offered.supports_effort if offered else None,
            efforts=tuple(offered.efforts) if offered else (),
            owner="anthropic",
        )

    def abilities(self, model: str) -> Abilities:
        """Return which parameters ``model`` accepts.

        For a model that is not in our table, this is what the CLI says.
        """
        offered = self._offer(model)
        found = abilities_of(offered.resolved if offered else model) or _UNKNOWN
        if found.known or offered is None:
            return found

        changes: dict[str, Any] = {"efforts": tuple(offered.efforts)}
        if offered.thinking_off is not None and offered.thinking_off != bool(found.off):
            changes["off"] = "disabled" if offered.thinking_off else ""
        return msgspec.structs.replace(found, **changes)

    def health(self) -> dict[str, Any]:
        """Return the facts that are known, for ``/health``."""
        facts = {"command": self.command, "version": self.version, "login": self.login}
        return {name: value for name, value in facts.items() if value}

    def _offer(self, model: str) -> OfferedModel | None:
        return self.offered.get(model) or self.offered.get(f"{model}[1m]") or self._resolved(model)

    def _resolved(self, model: str) -> OfferedModel | None:
        alike = (offered for offered in self.offered.values() if offered.resolved == model)
        return next(alike, None)


def check_version(text: str) -> str:
    """Return the version in what ``claude --version`` printed.

    Raises :class:`BackendUnavailable` if it is too old or if the program is not the Claude Code CLI.
    """
    match = _VERSION.search(text)
    if match is None:
        raise BackendUnavailable(
            f"the configured command is not the Claude Code CLI: it answers --version with {text[:80]!r}"
        )
    if tuple(int(number) for number in match.groups()) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise BackendUnavailable(
            f"the Claude Code CLI {match[0]} is too old; this proxy needs {oldest} or newer: "
            "run `claude update` or `npm install -g @anthropic-ai/claude-code`"
        )
    return match[0]


def _login(account: Account) -> tuple[bool, str]:
    sources = [account.token_source, account.api_key_source]
    known = [source for source in sources if source and source != "none"]
    if not known:
        return False, "not logged in"

    plan = f" ({account.subscription})" if account.subscription else ""
    return True, f"logged in by {known[0]}{plan}"
