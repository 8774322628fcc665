"""What is known of the installed CLI: where it is, its version, its login, and what its models can do."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from claude_max_proxy import BackendUnavailable, ModelInfo
from claude_max_proxy.backends.claude_cli.protocol import (
    Account,
    Initialized,
    ModelUsage,
    OfferedModel,
)
from claude_max_proxy.messages_api import Abilities, abilities_of


# The oldest version that this proxy was seen to work with.
OLDEST = (2, 1, 100)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_CLAUDE_INPUT = ("text", "image")
# What is asked of a model that nobody knows reaches it as it is; its provider can still refuse.
_UNKNOWN = Abilities("one", known=False)


class Installation(msgspec.Struct):
    """Learned at the start and from every answer; ``problem`` says why nothing can be answered."""

    command: str = ""
    version: str = ""
    login: str = ""
    logged_in: bool | None = None
    problem: str = ""
    offered: dict[str, OfferedModel] = msgspec.field(default_factory=dict)
    usages: dict[str, ModelUsage] = msgspec.field(default_factory=dict)

    def learn_models(self, initialized: Initialized) -> None:
        """Keep what an answer to ``initialize`` says."""
        self.offered.update({model.value: model for model in initialized.models})
        self.logged_in, self.login = _login(initialized.account)

    def learn_usages(self, usages: dict[str, ModelUsage]) -> None:
        """Keep what a result says of the models it used."""
        for name, usage in usages.items():
            known = self.usages.setdefault(name, ModelUsage())
            known.context_window = usage.context_window or known.context_window
            known.max_output_tokens = usage.max_output_tokens or known.max_output_tokens

    def describe(self, model: str) -> ModelInfo:
        """Say what is known of ``model``, an alias or a full name."""
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
        """Say what ``model`` takes; of one that our table does not know, what the CLI says counts."""
        offered = self._offer(model)
        found = abilities_of(offered.resolved if offered else model) or _UNKNOWN
        if found.known or offered is None:
            return found

        changes: dict[str, Any] = {"efforts": tuple(offered.efforts)}
        if offered.thinking_off is not None and offered.thinking_off != bool(found.off):
            changes["off"] = "disabled" if offered.thinking_off else ""
        return msgspec.structs.replace(found, **changes)

    def health(self) -> dict[str, Any]:
        """The facts that are known."""
        facts = {"command": self.command, "version": self.version, "login": self.login}
        return {name: value for name, value in facts.items() if value}

    def _offer(self, model: str) -> OfferedModel | None:
        return self.offered.get(model) or self.offered.get(f"{model}[1m]") or self._resolved(model)

    def _resolved(self, model: str) -> OfferedModel | None:
        alike = (offered for offered in self.offered.values() if offered.resolved == model)
        return next(alike, None)


def check_version(text: str) -> str:
    """Find the version in what ``claude --version`` prints.

    Raises :class:`BackendUnavailable` for one that is too old, or for another program.
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
