"""The proxy's own API keys: finds the key of a request, and checks what this key may ask for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping

from claude_max_proxy.config import ApiKey
from claude_max_proxy.config.secret import find_secrets
from claude_max_proxy.errors import InvalidKey, NotFound, TooManyRequests
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.rate_limits import Rates


_PROCESS, _ANY_PROCESS = secrets.token_bytes(32), b"claude-max-proxy, an owner"


class Keys:
    """The API keys of one configuration; if there are none, everybody may ask for everything.

    ``owners`` are the owners of data that may be kept, as in ``Client.owner``.
    """

    def __init__(self, keys: Mapping[str, str | ApiKey], rates: Rates, *, lasting: bool = False) -> None:
        """Read the keys' secrets. Raises :class:`ConfigError` for those that cannot be read.

        ``lasting`` says that identities are those of all replicas, at all times.
        """
        entries = {name: key if isinstance(key, ApiKey) else ApiKey(key=key) for name, key in keys.items()}
        self._entries = entries
        self._rates = rates
        self._lasting = lasting
        texts = {name: entry.key for name, entry in entries.items()}
        found = find_secrets(texts, "server", "api_keys")
        self._secrets = {name: text.encode() for name, text in found.items()}
        self._identities = {
            name: _identity(secret, _ANY_PROCESS if lasting else _PROCESS)
            for name, secret in self._secrets.items()
        }
        self.owners = frozenset(self._identities.values()) or frozenset({""})

    def identity(self, name: str) -> str:
        """Return a value that stands for the secret of the key ``name``; it is empty if there is no such key.

        The value differs each time the proxy is started, unless replicas share what belongs to it.
        """
        return self._identities.get(name, "")

    def _counted(self, name: str) -> str:
        """Return under which name the requests of a key are counted: what all replicas see is no digest."""
        return name if self._lasting else self.identity(name)

    def lost(self, owners: Collection[str]) -> list[str]:
        """Return the names of the keys whose secrets do not belong to any of these ``owners``."""
        return [name for name, identity in self._identities.items() if identity not in owners]

    def wider_than(self, before: Keys) -> list[str]:
        """Return the names of keys that may do more than the key with this secret, or name, ``before``."""
        names = {identity: name for name, identity in before._identities.items()}
        found = []
        for name, entry in self._entries.items():
            old = before._entries.get(names.get(self._identities[name], name))
            if old is not None and (_wider(entry.models, old.models) or _more(entry, old)):
                found.append(name)
        return found

    def identify(self, headers: Mapping[str, str]) -> str:
        """Return the name of the key in a request's headers; this always takes the same time.

        Raises :class:`InvalidKey` if there is no key, or an unknown one.
        """
        if not self._secrets:
            return ""

        given = _given(headers)
        found = [
            name
            for name, secret in self._secrets.items()
            if hmac.compare_digest(secret, given.encode("latin-1"))  # the bytes that the header contained
        ]
        if not found:
            raise InvalidKey(
                "this proxy needs one of its own API keys, as `Authorization: Bearer KEY`"
                if not given
                else "this is not an API key of this proxy"
            )
        return found[0]

    def holds(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request has a valid key, on a route that needs none."""
        try:
            return bool(self.identify(headers))
        except InvalidKey:
            return False

    def is_admin(self, name: str) -> bool:
        """Return whether the key ``name`` may see what concerns everybody; without keys, everybody may."""
        entry = self._entries.get(name)
        return not self._entries or (entry is not None and entry.admin)

    def allows(self, name: str, model: str) -> bool:
        """Return whether the key ``name`` may ask for ``model``."""
        entry = self._entries.get(name)
        return not (entry and entry.models) or any(matches(pattern, model) for pattern in entry.models)

    async def admit(self, name: str, model: str) -> None:
        """Count a request of the key ``name`` for ``model``.

        Raises :class:`NotFound` if the key may not use the model, and :class:`TooManyRequests` if it has sent
        too many requests.
        """
        if not self.allows(name, model):
            raise NotFound(
                f"the model {shown(model)} does not exist for this API key",
                param="model",
                code="model_not_found",
            )

        entry = self._entries.get(name)
        if entry and entry.requests_per_minute:
            wait = await self._rates.admit(self._counted(name), entry.requests_per_minute)
            if wait:
                raise TooManyRequests(
                    f"rate limit: this API key may ask {entry.requests_per_minute} times a minute",
                    retry_after=wait,
                )


def _given(headers: Mapping[str, str]) -> str:
    """Return the key in a request's headers, empty if there is none.

    It is a bearer token, the header ``x-api-key``, or the password of Basic authentication, in which browsers
    send what their users type.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if "x-api-key" in headers or scheme.lower() != "basic":
        return headers.get("x-api-key", "")
    try:
        pair = base64.b64decode(token.strip(), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[2]


def _identity(secret: bytes, key: bytes) -> str:
    return hashlib.blake2b(secret, key=key, digest_size=16).hexdigest()


def _wider(models: Collection[str], before: Collection[str]) -> bool:
    return bool(before) and (not models or not set(models) <= set(before))


def _more(entry: ApiKey, before: ApiKey) -> bool:
    limit, old = entry.requests_per_minute, before.requests_per_minute
    return (entry.admin and not before.admin) or (old is not None and (limit is None or limit > old))
