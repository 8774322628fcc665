"""Remembers in a small file which models were used lately: their names and times, nothing that was said."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec
import platformdirs


_DAYS = 3 * 24 * 3600.0
_WRITTEN_EVERY = 600.0
_MOST = 20
_NAME = "used-models.json"

_decode = msgspec.json.Decoder(dict[str, float]).decode


class UsedModels:
    """The models used with one backend. If the file cannot be read or written, nothing is remembered."""

    def __init__(self, backend: str, folder: Path | None = None) -> None:
        """Use a file in the user's folder for state, or in ``folder``; nothing is read yet."""
        self._path = (folder or Path(platformdirs.user_state_dir("claude-max-proxy"))) / backend / _NAME
        self._written: dict[str, float] = {}

    def last_used(self, otherwise: str) -> str | None:
        """Return the model used last, ``None`` if that is over three days ago, ``otherwise`` if never."""
        times = self._read()
        if not times:
            return otherwise
        newest = max(times, key=lambda model: times[model])
        return newest if times[newest] > time.time() - _DAYS else None

    def use(self, model: str) -> None:
        """Note that a model is used; the file is written at most every ten minutes for the same model."""
        now = time.time()
        newest = max(self._written, key=lambda name: self._written[name], default="")
        if newest == model and self._written[model] > now - _WRITTEN_EVERY:
            return

        self._written[model] = now
        times = {**self._read(), model: now}
        kept = dict(sorted(times.items(), key=lambda item: -item[1])[:_MOST])
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(kept))
            new.replace(self._path)

    def _read(self) -> dict[str, float]:
        try:
            return _decode(self._path.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return {}
