"""The ledger: one row for each finished request, in SQLite or PostgreSQL, and sums over them.

The plugin ``ledger`` owns a :class:`Ledger` and offers it to other plugins: ``context.find(Ledger)``. This
package never stores a word of what was said. SQLAlchemy is imported on the ledger's own thread when somebody
first needs the database, so importing this package costs nothing.
"""

from claude_max_proxy.ledger.ledger import Ledger
from claude_max_proxy.ledger.place import find_url
from claude_max_proxy.ledger.prices import price_of
from claude_max_proxy.ledger.row import Row, row_of
from claude_max_proxy.ledger.usage import By, Cursor, Gap, Spent, State, Unavailable, Usage, Where


__all__ = [
    "By",
    "Cursor",
    "Gap",
    "Ledger",
    "Row",
    "Spent",
    "State",
    "Unavailable",
    "Usage",
    "Where",
    "find_url",
    "price_of",
    "row_of",
]
