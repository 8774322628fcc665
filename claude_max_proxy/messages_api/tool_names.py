"""The client's tool names and an upstream's, both ways.

An upstream takes names of certain characters and of a certain length. Other names are mapped to such, kept
apart, and mapped back, so that the client and the model each see names that they can use.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable


LONGEST = 128
_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
_DIGEST = 8  # characters


class ToolNames:
    """Maps the names of one request's tools; most stay as they are.

    ``taken`` are names that the upstream means something else by; ``longest`` is in characters.
    """

    def __init__(
        self, names: Iterable[str] = (), taken: Collection[str] = (), longest: int = LONGEST
    ) -> None:
        """Map ``names``."""
        self.client: dict[str, str] = {}
        self._taken = taken
        self._longest = longest
        self._upstream: dict[str, str] = {}
        given = list(dict.fromkeys(names))
        for name in sorted(given, key=lambda name: not self._fits(name)):  # a name as it is comes first
            mapped = self._apart(name)
            self._upstream[name] = mapped
            self.client[mapped] = name

    def upstream(self, name: str) -> str:
        """Return the name that the upstream knows a tool by, also one that is not offered any more."""
        return self._upstream.get(name) or (name if self._fits(name) else self._mapped(name))

    def _fits(self, name: str) -> bool:
        allowed = 0 < len(name) <= self._longest and not _NOT_ALLOWED.search(name)
        return allowed and name not in self._taken

    def _apart(self, name: str) -> str:
        """Return a name that no other tool of the request has."""
        if self._fits(name):
            return name

        salt, mapped = name, self._mapped(name)
        while mapped in self.client:
            salt += "'"
            mapped = self._mapped(name, salt)
        return mapped

    def _mapped(self, name: str, salt: str = "") -> str:
        digest = hashlib.blake2b((salt or name).encode(), digest_size=_DIGEST // 2).hexdigest()
        return f"{_NOT_ALLOWED.sub('_', name)[: self._longest - _DIGEST - 1]}_{digest}"
