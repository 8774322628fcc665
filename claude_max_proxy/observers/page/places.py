"""Where the page is, and how its links find it. Pure.

All links are relative, so they also hold behind a reverse proxy that takes away the beginning of the path.
"""

from __future__ import annotations

import msgspec

from claude_max_proxy import Route


HERE = "./"


class Place(msgspec.Struct, frozen=True):
    """Where the page begins: ``prefix`` is its path without a slash at the end, and empty for ``/``."""

    prefix: str = ""

    def mounted(self, route: Route) -> Route:
        """Return a route of the page, which begins with a slash, with the path at which it is served."""
        return msgspec.structs.replace(route, path=f"{self.prefix}{route.path}".rstrip("/") or "/")

    def root(self, path: str) -> str:
        """Return the relative URL of the page's beginning from ``path``, which is below it."""
        return "../" * (path.count("/") - self.prefix.count("/") - 1) or HERE

    @property
    def outside(self) -> str:
        """The relative URL of the proxy's own root from the page's beginning."""
        return "../" * self.prefix.count("/")

    def beginning(self, path: str) -> str:
        """Return the relative URL to go to if ``path`` is the page's beginning without its slash."""
        return f"{path.rpartition('/')[2]}/" if path and not path.endswith("/") else ""
