"""``[shared]``: where several replicas of the proxy keep what must be one for all of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from claude_max_proxy.config.settings import Settings


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
