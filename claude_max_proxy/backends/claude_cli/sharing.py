"""Says where several API keys lead to one login: a plan is one person's, and so are its terms."""

from __future__ import annotations

from claude_max_proxy import ApiKey, Check, Config, Finding, ModelEntry
from claude_max_proxy.formats import matches


_OWN_LOGINS = frozenset({"ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"})
_REMEDY = (
    "a Claude plan is for one person: give other people models of a backend with an API key, as in "
    'type = "anthropic"; if all keys are your own, this is fine'
)


def sharing(config: Config, backend: str) -> list[str]:
    """Return the names of the API keys that may use the login of ``[backends.<backend>]``, if several may.

    An own API key in the backend's environment is no plan, so then nothing is shared.
    """
    environment = config.backends.get(backend, {}).get("env", {})
    if isinstance(environment, dict) and _OWN_LOGINS & environment.keys():
        return []

    models = [name for name, entry in config.models.items() if _leads_to(config, entry, backend)]
    names = [
        name
        for name, key in config.server.api_keys.items()
        if models and (not isinstance(key, ApiKey) or not key.models or _may(key.models, models))
    ]
    return names if len(names) > 1 else []


def told(names: list[str], backend: str) -> str:
    """Say it in a line for the log."""
    return f"[backends.{backend}]: {len(names)} API keys ({', '.join(names)}) use one login; {_REMEDY}"


def check(config: Config, backend: str) -> Check:
    """Return the check for ``claude-max-proxy doctor``."""

    async def shared() -> Finding:
        if names := sharing(config, backend):
            return Finding("warn", f"{len(names)} API keys use this login: {', '.join(names)}", _REMEDY)
        return Finding("ok", "used by at most one API key")

    return Check(f"{backend}: sharing", shared)


def _leads_to(config: Config, entry: str | ModelEntry, backend: str) -> bool:
    """Return whether a line of ``[models]`` leads to the backend, itself or by a fallback."""
    entries, seen = [entry], 0
    while entries and seen < len(config.models) + 1:
        one = entries.pop()
        seen += 1
        places = [one] if isinstance(one, str) else [one.to, *one.fallback]
        for place in places:
            if place.partition("/")[0] == backend and place not in config.models:
                return True
            if place in config.models:
                entries.append(config.models[place])
    return False


def _may(patterns: list[str], models: list[str]) -> bool:
    return any(matches(pattern, model) or matches(model, pattern) for pattern in patterns for model in models)
