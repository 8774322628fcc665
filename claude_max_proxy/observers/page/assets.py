"""The files that the page needs besides its HTML: served by names that change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import msgspec


_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOLDERS = ("static", "static/vendored")


class Asset(msgspec.Struct, frozen=True):
    """One file: its bytes, its media type, and its name in a URL, which contains a hash of the bytes."""

    body: bytes
    media_type: str
    served_as: str


@cache
def assets() -> dict[str, Asset]:
    """Return all files by the names that they have in the package. The first call reads them."""
    found = {}
    for folder in _FOLDERS:
        for file in files(__package__).joinpath(folder).iterdir():
            stem, _, kind = file.name.rpartition(".")
            if kind in _TYPES:
                body = file.read_bytes()
                digest = hashlib.blake2b(body, digest_size=6).hexdigest()
                found[file.name] = Asset(body, _TYPES[kind], f"{stem}.{digest}.{kind}")
    return found


def url(name: str) -> str:
    """Return the URL of a file of the package, from the page's root. Raises KeyError if there is none."""
    return f"static/{assets()[name].served_as}"


def served(name: str) -> Asset | None:
    """Return the file that has this name in a URL, or ``None``; so nothing else can be read."""
    return next((asset for asset in assets().values() if asset.served_as == name), None)
