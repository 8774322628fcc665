"""Embeddings computed on this machine, a built-in plugin: ``type = "local-embeddings"``."""

from __future__ import annotations

from collections.abc import Mapping

from claude_max_proxy import Backend, RegisterBackend, RegisterCheck, hookimpl
from claude_max_proxy.backends.local_embeddings.backend import LocalEmbeddings
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings


@hookimpl
def register_backends(register: RegisterBackend) -> None:
    """Add the backend type."""
    register("local-embeddings", LocalEmbeddingsSettings, LocalEmbeddings)


@hookimpl
def register_checks(register: RegisterCheck, backends: Mapping[str, Backend]) -> None:
    """Add a check for each model: whether it can be loaded and gives an embedding."""
    for backend in backends.values():
        if isinstance(backend, LocalEmbeddings):
            register(backend.check())
