"""Everything that this process shares with the other replicas, opened and closed together."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from claude_max_proxy.config import SharedConfig
from claude_max_proxy.config.secret import Secret, find_secret
from claude_max_proxy.databases.urls import postgresql_url
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.vault import Vault


_OPEN_WITHIN = 3.0  # seconds that a start waits for the database; after that it goes on without


def shared_of(config: SharedConfig, version: str, replica: str) -> Shared | None:
    """Return what a configuration says is shared; ``None`` if that is nothing. Nothing is connected yet.

    ``replica`` is the name of this replica.
    Raises :class:`ConfigError` for a URL of another kind, and if psycopg is not installed.
    """
    if not config.url:
        return None

    url = postgresql_url(find_secret(config.url, "shared.url"))
    if not url:
        raise ConfigError(
            "shared.url: it must be `postgresql://USER:PASSWORD@HOST/DATABASE`, or `env:NAME` or "
            "`file:PATH` with such a URL"
        )
    try:
        return Shared(config, Secret(url), version, replica)
    except ImportError as error:
        raise ConfigError(
            "shared.url: PostgreSQL needs the packages that come with "
            "`pip install 'claude-max-proxy[postgres]'`"
        ) from error


class Shared:
    """The database that replicas share, and what is in it.

    ``replica`` is this replica's name, and ``id`` is unique to this process.
    """

    def __init__(self, config: SharedConfig, url: Secret, version: str, replica: str) -> None:
        """Prepare; :meth:`open` connects. Raises ``ImportError`` without the extra ``postgres``."""
        from claude_max_proxy.shared.channel import Channel
        from claude_max_proxy.shared.database import Database
        from claude_max_proxy.shared.plans import Plans
        from claude_max_proxy.shared.rates import SharedRates
        from claude_max_proxy.shared.replicas import SharedReplicas
        from claude_max_proxy.shared.sealing import Sealing
        from claude_max_proxy.shared.spending import SharedSpending
        from claude_max_proxy.shared.vault import SharedVault

        self._opened = False
        self.replica = replica
        self.id = f"{replica[:60]}-{secrets.token_hex(6)}"
        self.database = Database(url)
        self.channel = Channel(self.database, self.id)
        self.replicas = SharedReplicas(self.database, self.id, self.replica, version)
        self.rates = SharedRates(self.database, lambda: self.replicas.count, config.timeout)
        self.spending = SharedSpending(self.database, self.channel, self.replicas, self.id, config.timeout)
        self.plans = Plans(self.database, self.channel) if config.plans else None
        keys = _keys(config)
        self._vault = SharedVault(self.database, Sealing(keys), config) if keys else None

    def vault(self, space: str) -> Vault | None:
        """Return the vault of one dialect; ``None`` if there is no key to seal with."""
        return self._vault.of(space) if self._vault is not None else None

    async def open(self) -> None:
        """Connect; if that takes more than a few seconds, go on with it in the background."""
        if self._opened:
            return

        self._opened = True
        await self.database.open(_OPEN_WITHIN)
        self.rates.open()
        self.spending.open()
        if self.plans is not None:
            self.plans.open()
        self.channel.open()
        self.replicas.open()
        if self._vault is not None:
            self._vault.open()

    async def close(self) -> None:
        """Tell the other replicas that this one leaves, and close the connections."""
        if self._vault is not None:
            await self._vault.close()
        if self.plans is not None:
            await self.plans.close()
        await self.rates.close()
        await self.spending.close()
        await self.channel.close()
        await self.replicas.close()
        await self.database.close()

    def health(self) -> dict[str, Any]:
        """Return the state of what is shared, for ``/health``."""
        status = "ok" if self.database.status == "ok" else "degraded"
        facts: dict[str, Any] = {"status": status, "replica": self.replica, "replicas": self.replicas.count}
        facts["members"] = msgspec.to_builtins(self.replicas.facts())
        return {**facts, **({"problem": self.database.problem} if self.database.problem else {})}


def _keys(config: SharedConfig) -> list[str]:
    given = [config.encryption_key] if isinstance(config.encryption_key, str) else config.encryption_key
    return [find_secret(one, "shared.encryption_key") for one in given if one]
