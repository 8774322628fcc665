"""Any OpenAI-compatible server as a backend, a built-in plugin: ``type = "openai"``."""

from __future__ import annotations

from claude_max_proxy import Backend, RegisterBackend, hookimpl
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("openai", OpenAIApiSettings, _build)


def _build(name: str, settings: OpenAIApiSettings) -> Backend:
    from claude_max_proxy.backends.openai_api.backend import OpenAIApi  # only who uses it pays for it

    return OpenAIApi(name, settings)
