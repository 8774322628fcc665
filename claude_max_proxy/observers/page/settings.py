"""``[plugins.page]``: what the page is called, and where it is."""

from __future__ import annotations

from typing import Annotated

from claude_max_proxy import Meta
from claude_max_proxy import Settings as BaseSettings


class Settings(BaseSettings, frozen=True):
    """The page. ``enabled = false`` switches it off."""

    title: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=80,
            description="What the page is called, for example the name of the machine.",
        ),
    ] = "claude-max-proxy"
    path: Annotated[
        str,
        Meta(
            max_length=100,
            pattern=r"^/$|^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?$",
            description="Where the page begins, such as `/ui`.",
        ),
    ] = "/"
