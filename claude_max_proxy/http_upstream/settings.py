"""What every backend over HTTP can be told in its ``[backends.<name>]``."""

from __future__ import annotations

from typing import Annotated

import msgspec

from claude_max_proxy.config import Count, Seconds, Settings, quoted
from claude_max_proxy.secret import Secret, resolve_secret


class ModelFacts(Settings, frozen=True):
    """What a model of the upstream's takes and gives, for ``/v1/models``; the upstream is not asked."""

    context_window: Count | None = None
    max_output_tokens: Count | None = None
    modalities: tuple[str, ...] = ()
    owner: str = ""


class HttpSettings(Settings, frozen=True):
    """How to reach an API. Times are in seconds.

    ``api_key`` and the values of ``headers`` are ``env:NAME``, ``file:PATH`` or the text itself.
    ``max_connections`` is how many requests may go on at once. ``first_byte_timeout`` bounds the wait for
    room among them, and then that for the answer's first byte, ``idle_timeout`` any silence after it.
    ``retries`` is how often a failure before the first byte is tried again. ``tls_ca`` is a PEM file of
    certificate authorities that are trusted beside the usual ones. ``http2`` costs more CPU per request
    than the default does; it shares one connection.
    ``models`` says what is known of the upstream's models, by its own names.
    """

    base_url: str
    api_key: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    connect_timeout: Seconds = 10.0
    first_byte_timeout: Seconds = 300.0
    idle_timeout: Seconds = 300.0
    retries: Annotated[int, msgspec.Meta(ge=0)] = 2
    max_connections: Count = 100
    http2: bool = False
    tls_ca: str = ""
    models: dict[str, ModelFacts] = msgspec.field(default_factory=dict)

    def key(self, name: str) -> Secret:
        """Find the key of ``[backends.<name>]``; raise :class:`ConfigError` where it cannot be had."""
        return resolve_secret(self.api_key, f"backends.{quoted(name)}.api_key")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, …)"
