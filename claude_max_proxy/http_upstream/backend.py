"""What every backend over HTTP is but for its API: a name, and a client that it starts and stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.http_upstream.client import HttpUpstream
from claude_max_proxy.http_upstream.settings import HttpSettings


class HttpBackend:
    """One ``[backends.<name>]`` over HTTP; a subclass answers by its ``upstream``."""

    def __init__(self, name: str, settings: HttpSettings, headers: Mapping[str, str]) -> None:
        """Prepare; nothing is opened before :meth:`start`. ``headers`` are what its API asks for."""
        self.name = name
        self.upstream = HttpUpstream(name, settings, headers)

    async def start(self) -> None:
        """Get ready, without connecting."""
        await self.upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self.upstream.stop()

    def describe(self, model: str) -> ModelInfo:
        """Say what the settings say of ``model``."""
        return self.upstream.describe(model)

    def health(self) -> dict[str, Any]:
        """Say how the newest answer ended."""
        return self.upstream.health()
