"""The tables that replicas share, and the steps by which they came about."""

from pathlib import Path

from claude_max_proxy.databases.migrations import Migrations


MIGRATIONS = Migrations(
    Path(__file__).parent, newest="0009", table="shared_version", lock=0x73_68_61_72_65_64
)
