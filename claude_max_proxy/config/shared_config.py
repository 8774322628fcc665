"""``[shared]``: where several replicas of the proxy keep what must be one for all of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from claude_max_proxy.config.settings import Count, Seconds, Settings


class SharedConfig(Settings, frozen=True):
    """What several replicas of the proxy, behind one load balancer, share in a PostgreSQL database."""

    url: Annotated[
        str,
        Meta(
            description="The database that all replicas share, `postgresql://USER:PASSWORD@HOST/DATABASE`, "
            'with the extra `postgres`. `"env:NAME"` names an environment variable and `"file:PATH"` a file '
            "that holds it. Empty means that this proxy shares nothing. A change needs a restart."
        ),
    ] = ""
    timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds a request waits for the database where a limit of all replicas is "
            "checked. After that, the replica uses its own share of the limit."
        ),
    ] = 0.25
    plans: Annotated[
        bool,
        Meta(
            description="Whether all replicas learn from one another which plans are used up and how their "
            "windows fill. Switch it off if a backend has another login or key at each replica."
        ),
    ] = True
    encryption_key: Annotated[
        str | list[str],
        Meta(
            description="The key with which stored responses are sealed in the database: 32 random bytes in "
            'Base64, as `openssl rand -base64 32` writes them, or better `"env:NAME"` or `"file:PATH"`. Of '
            "several keys, the first one seals and all of them open, so that a key can be replaced. It is "
            "needed unless `[plugins.openai_responses] store` is off."
        ),
    ] = ""
    keep_responses: Annotated[
        Seconds, Meta(description="How many seconds a stored response is kept in the database.")
    ] = 2_592_000.0
    response_bytes: Annotated[
        Count,
        Meta(
            description="How large one response with all that led to it may be, in bytes. A larger one is "
            "not stored."
        ),
    ] = 10_000_000
    responses_per_key: Annotated[
        Count,
        Meta(description="How many responses are stored for one API key; beyond it, the oldest are deleted."),
    ] = 1000
    response_bytes_per_key: Annotated[
        Count,
        Meta(
            description="How large all stored responses of one API key may be together, in bytes, compressed "
            "and sealed."
        ),
    ] = 100_000_000
