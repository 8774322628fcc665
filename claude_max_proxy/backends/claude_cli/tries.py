"""How often one request is asked, and whether it is asked again; once a word was said, it is not."""

from __future__ import annotations

import time

from claude_max_proxy import ProxyError
from claude_max_proxy.backends.claude_cli.turn_reader import TOOLS_MISSING
from claude_max_proxy.capabilities import refusals
from claude_max_proxy.errors import Overloaded, UpstreamFailed


_BACKOFF = (0.2, 1.0, 3.0)


class Tries:
    """Counts the tries of one request.

    ``began`` says whether the client has received an event. ``since`` is when the request was asked first in
    the form in which it is asked now.
    """

    def __init__(self, retries: int) -> None:
        """Allow ``retries`` further tries after faults that may pass."""
        self.began = False
        self.since = time.monotonic()
        self._retries = retries
        self._faults = 0
        self._refused = 0

    @property
    def may_ask_otherwise(self) -> bool:
        """Whether the request may be sent again without the parameter that was refused."""
        return not self.began and self._refused < refusals.TRIES

    def ask_otherwise(self) -> None:
        """Note that the request is sent again without a parameter; faults are counted from 0 again."""
        self._refused += 1
        self._faults = 0
        self.since = time.monotonic()

    def pause(self, error: ProxyError) -> float:
        """Return how many seconds to wait before the next try; raise ``error`` if there is none."""
        # On a busy machine the CLI may learn of a tool late, so it gets one more try, but only one:
        # another CLI never accepts the tool.
        late = error.code == TOOLS_MISSING and self._faults == 0
        passing = late or isinstance(error, UpstreamFailed | Overloaded)
        if self.began or not passing or self._faults == self._retries:
            raise error
        self._faults += 1
        return _BACKOFF[min(self._faults, len(_BACKOFF)) - 1]
