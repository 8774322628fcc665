"""Which ledger's requests of before are counted in a budget.

The budgets that are there already have counted without them; they stay as they are.
"""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table; a budget with an empty source needs nothing more of any ledger."""
    op.create_table(
        "shared_seeds",
        sa.Column("budget", sa.Text, primary_key=True),
        sa.Column("source", sa.String(100), primary_key=True),
        sa.Column("began", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
    )
    op.execute("INSERT INTO shared_seeds SELECT budget, '', now(), true FROM shared_spent GROUP BY budget")
