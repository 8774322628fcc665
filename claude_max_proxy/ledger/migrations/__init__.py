"""The tables of the ledger, and the steps by which they came about."""

from pathlib import Path

from claude_max_proxy.databases.migrations import Migrations


# One number for all proxies: who holds it alone may sum up, prune or migrate.
LOCK = 0x6C_65_64_67_65_72
MIGRATIONS = Migrations(Path(__file__).parent, newest="0002", table="ledger_version", lock=LOCK)
