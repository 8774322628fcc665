"""A backend that asks Anthropic's Messages API with an API key, a built-in plugin: ``type = "anthropic"``."""

from __future__ import annotations

from collections.abc import Mapping

from claude_max_proxy import Backend, RegisterBackend, RegisterCheck, hookimpl
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("anthropic", AnthropicApiSettings, _build)


@hookimpl
def register_checks(register: RegisterCheck, backends: Mapping[str, Backend]) -> None:
    """Add a check for each API: whether it answers and accepts the key."""
    from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi

    for backend in backends.values():
        if isinstance(backend, AnthropicApi):
            register(backend.check())


def _build(name: str, settings: AnthropicApiSettings) -> Backend:
    # Imported here because it takes time, which only those who use it should spend.
    from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi

    return AnthropicApi(name, settings)
