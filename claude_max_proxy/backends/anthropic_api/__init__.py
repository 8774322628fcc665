"""The Messages API with a key as a backend, a built-in plugin: ``type = "anthropic"``."""

from __future__ import annotations

from claude_max_proxy import Backend, RegisterBackend, hookimpl
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("anthropic", AnthropicApiSettings, _build)


def _build(name: str, settings: AnthropicApiSettings) -> Backend:
    from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi  # only who uses it pays for it

    return AnthropicApi(name, settings)
