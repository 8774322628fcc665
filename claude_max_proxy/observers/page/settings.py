"""``[plugins.page]``: what the page is called."""

from __future__ import annotations

from typing import Annotated

from claude_max_proxy import Meta
from claude_max_proxy import Settings as BaseSettings


class Settings(BaseSettings, frozen=True):
    """The page at ``/``. ``enabled = false`` switches it off."""

    title: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=80,
            description="What the page is called, for example the name of the machine.",
        ),
    ] = "claude-max-proxy"
