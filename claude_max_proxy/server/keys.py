"""The proxy's own API keys: whose a request is, and what that key may ask for."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from claude_max_proxy.config import ApiKey, quoted
from claude_max_proxy.errors import InvalidKey, NotFound, TooManyRequests
from claude_max_proxy.models import matches
from claude_max_proxy.rate_limits import RateLimits
from claude_max_proxy.secret import find_secret


class Keys:
    """The keys of one configuration; with none, everybody may ask for everything."""

    def __init__(self, keys: Mapping[str, str | ApiKey], rates: RateLimits) -> None:
        """Find the secrets; raise :class:`ConfigError` for one that is not to be found."""
        entries = {name: key if isinstance(key, ApiKey) else ApiKey(key=key) for name, key in keys.items()}
        self._entries = entries
        self._rates = rates
        self._secrets = {
            name: find_secret(entry.key, f"server.api_keys.{quoted(name)}").encode()
            for name, entry in entries.items()
        }

    def identify(self, headers: Mapping[str, str]) -> str:
        """Return the name of the key that a request carries, in the same time whichever it is.

        Raises :class:`InvalidKey` for none and for one that nobody has.
        """
        if not self._secrets:
            return ""

        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        found = [
            name
            for name, secret in self._secrets.items()
            if hmac.compare_digest(secret, given.encode("latin-1"))  # as it stood in the header
        ]
        if not found:
            raise InvalidKey(
                "this proxy needs one of its own API keys, as `Authorization: Bearer KEY`"
                if not given
                else "this is not an API key of this proxy"
            )
        return found[0]

    def allows(self, name: str, model: str) -> bool:
        """Tell whether the key ``name`` may ask for ``model``."""
        entry = self._entries.get(name)
        return not (entry and entry.models) or any(matches(pattern, model) for pattern in entry.models)

    def admit(self, name: str, model: str) -> None:
        """Count a request, or refuse it: :class:`NotFound` for a model the key does not see, or too many."""
        if not self.allows(name, model):
            raise NotFound(
                f"the model {model!r} does not exist for this API key", param="model", code="model_not_found"
            )

        entry = self._entries.get(name)
        if entry and entry.requests_per_minute:
            wait = self._rates.admit(name, entry.requests_per_minute)
            if wait:
                raise TooManyRequests(
                    f"rate limit: this API key may ask {entry.requests_per_minute} times a minute",
                    retry_after=wait,
                )
