"""The settings that every backend over HTTP has in its ``[backends.<name>]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from claude_max_proxy.config import Count, Seconds, Settings, quoted
from claude_max_proxy.config.secret import Secret, masked_url, resolve_secret


class ModelFacts(Settings, frozen=True):
    """What is known about one of the upstream's models, for ``/v1/models``; the upstream is not asked."""

    context_window: Annotated[
        Count | None,
        Meta(description="How long the input and the answer may be together, in tokens. Unset: not known."),
    ] = None
    max_output_tokens: Annotated[
        Count | None, Meta(description="How long the longest answer may be, in tokens. Unset: not known.")
    ] = None
    modalities: Annotated[
        tuple[str, ...],
        Meta(description='What the model takes as input, as in `["text", "image"]`. Empty: not known.'),
    ] = ()
    owner: Annotated[
        str, Meta(description="Who offers the model. Empty means that the backend's name is shown.")
    ] = ""


class HttpSettings(Settings, frozen=True):
    """What every backend over HTTP can be told."""

    base_url: Annotated[str, Meta(description="The URL at which the API begins. Both types have a default.")]
    api_key: Annotated[
        str,
        Meta(
            description='The API key, or where to find it: `"env:NAME"` names an environment variable, '
            '`"file:PATH"` a file. It is never shown. Empty means that none is sent.'
        ),
    ] = ""
    headers: Annotated[
        dict[str, str],
        Meta(
            description='Further headers of every request, as in `{ X-Team = "blue" }`. A value may be '
            '`"env:NAME"` or `"file:PATH"`, too.'
        ),
    ] = msgspec.field(default_factory=dict)
    connect_timeout: Annotated[
        Seconds, Meta(description="How many seconds it may take to connect to the server.")
    ] = 10.0
    first_byte_timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds the server may take until its answer begins; then the client gets "
            "a 504. Before that, a request may wait just as long for a free connection; then it gets a 429."
        ),
    ] = 300.0
    idle_timeout: Annotated[
        Seconds, Meta(description="How many seconds the server may be silent after its answer has begun.")
    ] = 300.0
    retries: Annotated[
        int,
        Meta(
            ge=0,
            description="How many times a failed request is tried again: before the answer's first byte, and "
            "for a whole answer also when it broke off.",
        ),
    ] = 2
    max_connections: Annotated[
        Count,
        Meta(
            description="How many requests may go on at the same time, each on a connection that is kept and "
            "used again. Further ones wait."
        ),
    ] = 100
    max_answer_bytes: Annotated[
        Count,
        Meta(
            description="The longest answer that is accepted, whole or streamed, in bytes. A longer one "
            "fails, and its connection is closed."
        ),
    ] = 128 * 1024 * 1024
    http2: Annotated[
        bool,
        Meta(
            description="Speak HTTP/2 where the server can. All requests then share one connection, and each "
            "costs more of the processor's time."
        ),
    ] = False
    tls_ca: Annotated[
        str,
        Meta(
            description="A PEM file of certificate authorities that are trusted in addition to the usual "
            "ones. If the environment variable `SSL_CERT_FILE` is set, its authorities take the place of the "
            "usual ones."
        ),
    ] = ""
    models: Annotated[
        dict[str, ModelFacts],
        Meta(
            description="What is known of the server's models, by its own names, as in "
            '`{ "llama3.2" = { context_window = 131072 } }`. `/v1/models` shows it.'
        ),
    ] = msgspec.field(default_factory=dict)

    def key(self, name: str) -> Secret:
        """Return the key of ``[backends.<name>]``. Raises :class:`ConfigError` if it cannot be read."""
        return resolve_secret(self.api_key, f"backends.{quoted(name)}.api_key")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={masked_url(self.base_url)!r}, …)"
