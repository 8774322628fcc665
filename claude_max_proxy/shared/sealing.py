"""Seals what is kept in the database, by AES-GCM, so that whoever reads the database learns nothing of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from claude_max_proxy.errors import ConfigError


_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
_ID_BYTES = 4
_LEVEL = 1  # of the compression, where more costs time and saves little
_MOST = 1_000_000_000  # bytes that a sealed thing may grow to when it is opened


class _Key:
    """What is derived from one key of the configuration: one key to seal with, and one to name owners by."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(_derived(secret, b"seal"))
        self._names = _derived(secret, b"names")
        self.id = _derived(secret, b"id")[:_ID_BYTES]

    def seal(self, content: bytes, about: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return self.id + nonce + self._cipher.encrypt(nonce, zlib.compress(content, _LEVEL), about)

    def open(self, sealed: bytes, about: bytes) -> bytes | None:
        nonce = sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        try:
            packed = self._cipher.decrypt(nonce, sealed[_ID_BYTES + _NONCE_BYTES :], about)
            return zlib.decompressobj().decompress(packed, _MOST)
        except (InvalidTag, zlib.error):
            return None

    def name(self, text: str) -> bytes:
        return hmac.digest(self._names, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


class Sealing:
    """Seals with the first of several keys, and opens with any of them.

    What is sealed is bound to its owner and its id: it does not open under others'. Owners and names are
    replaced by digests that need a key, so the database has neither.
    """

    def __init__(self, keys: list[str]) -> None:
        """Take the keys, each 32 bytes in Base64. Raises :class:`ConfigError` for anything else."""
        self._keys = [_Key(_decoded(text)) for text in keys]

    def seal(self, content: bytes, owner: str, id_: str) -> bytes:
        """Return content as it may be stored."""
        return self._keys[0].seal(content, _about(owner, id_))

    def open(self, sealed: bytes, owner: str, id_: str) -> bytes | None:
        """Return what was sealed; ``None`` without its key, or if it has another owner or another id."""
        found = (key for key in self._keys if key.id == sealed[:_ID_BYTES])
        for key in found:
            return key.open(sealed, _about(owner, id_))
        return None

    def owner(self, owner: str) -> bytes:
        """Return the digest under which this owner's things are stored."""
        return self._keys[0].name(f"owner {owner}")

    def owners(self, owner: str) -> list[bytes]:
        """Return the digests under which an owner's things may have been stored, by any of the keys."""
        return [key.name(f"owner {owner}") for key in self._keys]

    def names(self, owner: str, names: list[str]) -> list[int]:
        """Return numbers that stand for names of this owner's things."""
        return [_number(self._keys[0].name(f"name {owner} {name}")) for name in names]

    def all_names(self, owner: str, name: str) -> list[int]:
        """Return the numbers that may stand for a name, by any of the keys."""
        return [_number(key.name(f"name {owner} {name}")) for key in self._keys]


def _about(owner: str, id_: str) -> bytes:
    parts = [text.encode("utf-8", "surrogatepass") for text in (owner, id_)]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big", signed=True)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    info = b"claude-max-proxy shared " + purpose
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret)


def _decoded(text: str) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _KEY_BYTES:
        raise ConfigError(
            "shared.encryption_key: it must be 32 random bytes in Base64, as `openssl rand -base64 32` "
            "writes them"
        )
    return secret
