"""Makes the part of OpenClaw's configuration for this proxy: a provider, its models, and a default. Pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from claude_max_proxy.backend import ModelInfo


Api = Literal["openai-responses", "openai-completions", "anthropic-messages"]
ROUTES: dict[Api, str] = {
    "openai-responses": "/v1/responses",
    "openai-completions": "/v1/chat/completions",
    "anthropic-messages": "/v1/messages",
}
# Releases before this one refuse a configuration with unknown keys.
CURRENT_FORM_SINCE = (2026, 8, 1)

_TIMEOUT = 900  # seconds of silence
_READY_TIMEOUT = 30_000  # milliseconds
_CONTEXT_WINDOW = 200_000
_MAX_TOKENS = 32_000
_INPUTS = ("text", "image")


class Proxy(msgspec.Struct, frozen=True):
    """Where this proxy is, how it is started, and what it offers.

    ``key`` is a text that is no secret, or a reference such as ``${NAME}``. If ``command`` is empty, OpenClaw
    does not start the proxy.
    """

    url: str
    key: str
    models: dict[str, ModelInfo]
    command: tuple[str, ...] = ()
    path: str = ""


def provider(proxy: Proxy, api: Api, before: dict[str, Any], *, current: bool) -> dict[str, Any]:
    """Return the provider's block.

    ``before`` is the existing block; what the user may have chosen in it is kept. If ``current`` is false,
    everything is left out that old releases do not know.
    """
    block: dict[str, Any] = {
        "baseUrl": proxy.url if api == "anthropic-messages" else f"{proxy.url}/v1",
        "apiKey": proxy.key,
        "api": api,
    }
    if current:
        block["timeoutSeconds"] = before.get("timeoutSeconds", _TIMEOUT)
    if current and proxy.command:
        block["localService"] = {
            "command": proxy.command[0],
            "args": list(proxy.command[1:]),
            "env": {"PATH": proxy.path},
            "healthUrl": f"{proxy.url}/health",
            "readyTimeoutMs": _READY_TIMEOUT,
        }
    known = {model.get("id"): model for model in _objects(before.get("models"))}
    block["models"] = [
        _model(name, info, known.get(name, {}), current=current) for name, info in proxy.models.items()
    ]
    return block


def configuration(
    name: str, block: dict[str, Any], before: dict[str, Any], *, make_default: bool
) -> dict[str, Any]:
    """Return what to merge into OpenClaw's configuration, which is ``before`` now."""
    wanted: dict[str, Any] = {"models": {"providers": {name: block}}}
    references = [f"{name}/{model['id']}" for model in block["models"]]
    defaults = _object(_object(before.get("agents")).get("defaults"))
    ours: dict[str, Any] = {}
    model = defaults.get("model")
    if references and (make_default or not default_model(before)):
        ours["model"] = references[0] if isinstance(model, str) else {"primary": references[0]}
    if defaults.get("models"):  # in older releases, this lists all models that may be used
        listed = _object(defaults["models"])
        ours["models"] = {reference: listed.get(reference, {}) for reference in references}
    if ours:
        wanted["agents"] = {"defaults": ours}
    return wanted


def default_model(configured: dict[str, Any]) -> str:
    """Return the model that OpenClaw uses where nobody chooses one, empty if none is set."""
    model = _object(_object(configured.get("agents")).get("defaults")).get("model")
    return str((model if isinstance(model, str) else _object(model).get("primary")) or "")


def wants_current_form(file_name: str, before: dict[str, Any]) -> bool:
    """Return whether the release that has last written a configuration knows the current form."""
    if file_name != "openclaw.json" and file_name.endswith("bot.json"):
        return False

    version = str(_object(before.get("meta")).get("lastTouchedVersion", ""))
    numbers = tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdecimal())
    return len(numbers) < 3 or numbers >= CURRENT_FORM_SINCE


def _model(name: str, info: ModelInfo, before: dict[str, Any], *, current: bool) -> dict[str, Any]:
    inputs = [one for one in info.input_modalities if one in _INPUTS]
    model: dict[str, Any] = {
        "id": name,
        "name": before.get("name", f"{name} (Claude Code)"),
        "reasoning": _either(info.reasoning, before.get("reasoning"), False),
        "input": inputs or before.get("input", ["text"]),
        "contextWindow": _either(info.context_window, before.get("contextWindow"), _CONTEXT_WINDOW),
        "maxTokens": _either(info.max_output_tokens, before.get("maxTokens"), _MAX_TOKENS),
    }
    compat: dict[str, Any] = {}
    if current:
        compat = {"supportsPromptCacheKey": True, "sendSessionAffinityHeaders": True}
    if info.efforts:
        compat["supportsReasoningEffort"] = True
    if info.efforts and current:
        compat["supportedReasoningEfforts"] = list(info.efforts)
    if compat:
        model["compat"] = compat
    return model


def _either(known: Any, before: Any, default: Any) -> Any:
    """Return what the proxy knows, else what the file contains, else a sensible value."""
    return next(value for value in (known, before, default) if value is not None)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
