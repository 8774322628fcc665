"""What several replicas of the proxy share, in one PostgreSQL database.

A :class:`Shared` belongs to a process, whichever configuration is in force. While the database is away, each
replica goes on with what it knows itself, and everything recovers when the database returns. psycopg is
imported only if ``[shared] url`` names a database.
"""

from claude_max_proxy.shared.shared import Shared, shared_of


__all__ = [
    "Shared",
    "shared_of",
]
