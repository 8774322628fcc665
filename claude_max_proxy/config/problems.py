"""Collects the mistakes in a configuration, so that a user sees all of them at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from claude_max_proxy.errors import ConfigError


class Problems:
    """Collects the messages of :class:`ConfigError`, each once, in the order in which they were found."""

    def __init__(self) -> None:
        """Begin without messages."""
        self._messages: dict[str, None] = {}

    @property
    def messages(self) -> tuple[str, ...]:
        """The messages that were added."""
        return tuple(self._messages)

    def add(self, error: ConfigError) -> None:
        """Add the messages of an error."""
        self._messages.update(dict.fromkeys(error.messages))

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Run the block; a :class:`ConfigError` ends the block, and is added instead of being raised."""
        try:
            yield
        except ConfigError as error:
            self.add(error)

    def tell(self) -> None:
        """Raise one :class:`ConfigError` with all messages, if there are any."""
        if self._messages:
            raise ConfigError(*self._messages)
