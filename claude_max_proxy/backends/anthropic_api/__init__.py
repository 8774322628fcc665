"""The Messages API with a key as a backend, a built-in plugin: ``type = "anthropic"``."""

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
    """Look whether each API is there and takes its key."""
    from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi

    for backend in backends.values():
        if isinstance(backend, AnthropicApi):
            register(backend.check())


def _build(name: str, settings: AnthropicApiSettings) -> Backend:
    from claude_max_proxy.backends.anthropic_api.backend import AnthropicApi  # only who uses it pays for it

    return AnthropicApi(name, settings)
