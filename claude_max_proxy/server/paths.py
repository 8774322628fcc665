"""Which API a path belongs to: the dialect that writes its errors, and the name that its records carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from claude_max_proxy.dialect import Dialect


EMBEDDINGS = "openai-embeddings"
EMBEDDINGS_PATHS = ("/v1/embeddings", "/embeddings")


def by_path(dialects: Sequence[Dialect]) -> Callable[[str], Dialect]:
    """Return a function that returns the dialect which a path belongs to.

    A path belongs to the dialect with a route at this path or at the nearest one above it. All other paths
    belong to the first dialect, which then writes their errors.
    """
    owners: dict[str, Dialect] = {}
    for dialect in reversed(dialects):
        owners |= {route.path.partition("/{")[0]: dialect for route in dialect.further_routes}
        owners |= dict.fromkeys(dialect.routes, dialect)

    def dialect_of(path: str) -> Dialect:
        while path not in owners and path:
            path = path.rpartition("/")[0]
        return owners.get(path, dialects[0])

    return dialect_of


def asking(dialects: Sequence[Dialect]) -> dict[str, str]:
    """Return the paths of all routes that ask a model, and what their records say as the dialect."""
    names = dict.fromkeys(EMBEDDINGS_PATHS, EMBEDDINGS)
    for dialect in reversed(dialects):
        names |= dict.fromkeys(dialect.count_routes, f"{dialect.name}-count")
        names |= dict.fromkeys(dialect.routes, dialect.name)
    return names
