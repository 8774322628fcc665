"""Any OpenAI-compatible server as a backend, a built-in plugin: ``type = "openai"``."""

from __future__ import annotations

from collections.abc import Mapping

from claude_max_proxy import Backend, RegisterBackend, RegisterCheck, hookimpl
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("openai", OpenAIApiSettings, _build)


@hookimpl
def register_checks(register: RegisterCheck, backends: Mapping[str, Backend]) -> None:
    """Add a check for each API: whether it answers and accepts the key."""
    from claude_max_proxy.backends.openai_api.backend import OpenAIApi

    for backend in backends.values():
        if isinstance(backend, OpenAIApi):
            register(backend.check())


def _build(name: str, settings: OpenAIApiSettings) -> Backend:
    # Imported here because it takes time, which only those who use it should spend.
    from claude_max_proxy.backends.openai_api.backend import OpenAIApi

    return OpenAIApi(name, settings)
