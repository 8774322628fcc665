"""Maps the client's tool names to those that an upstream accepts, and back.

An upstream only accepts names of certain characters and up to a certain length. All other names are mapped to
distinct names of this form, and mapped back in the answer. So the client and the model each see names that
they can use.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable


LONGEST = 128
_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
_DIGEST = 8  # characters


class ToolNames:
    """Maps the names of one request's tools; most of them stay as they are.

    ``client`` maps each of the upstream's names to the client's.
    """

    def __init__(
        self, names: Iterable[str] = (), taken: Collection[str] = (), longest: int = LONGEST
    ) -> None:
        """Map ``names``, which may come more than once.

        ``taken`` are names that mean something else to the upstream. ``longest`` is the limit on a name's
        length, in characters.
        """
        self.client: dict[str, str] = {}
        self._taken = taken
        self._longest = longest
        self._upstream: dict[str, str] = {}
        given = list(dict.fromkeys(names))
        for name in sorted(given, key=lambda name: not self._fits(name)):  # unchanged names come first
            mapped = self._apart(name)
            self._upstream[name] = mapped
            self.client[mapped] = name

    def upstream(self, name: str) -> str:
        """Return the upstream's name for a tool, even for one that this request does not offer any more."""
        return self._upstream.get(name) or (name if self._fits(name) else self._mapped(name))

    def _fits(self, name: str) -> bool:
        allowed = 0 < len(name) <= self._longest and not _NOT_ALLOWED.search(name)
        return allowed and name not in self._taken

    def _apart(self, name: str) -> str:
        """Return a name for the upstream that no other tool of the request has."""
        if self._fits(name):
            return name

        salt, mapped = name, self._mapped(name)
        while mapped in self.client:
            salt += "'"
            mapped = self._mapped(name, salt)
        return mapped

    def _mapped(self, name: str, salt: str = "") -> str:
        salted = (salt or name).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(salted, digest_size=_DIGEST // 2).hexdigest()
        return f"{_NOT_ALLOWED.sub('_', name[: self._longest - _DIGEST - 1])}_{digest}"
