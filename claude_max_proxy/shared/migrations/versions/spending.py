"""What was used of budgets, and what is held for running requests.

What is held is not logged: after a crash of the database, nothing is held for a moment.
"""

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "shared_spent",
        sa.Column("budget", sa.Text, primary_key=True),
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("dollars", sa.Double, nullable=False),
        sa.Column("summed", sa.Boolean, nullable=False),
    )
    op.create_index("shared_spent_by_time", "shared_spent", ["budget", "made"])
    op.create_table(
        "shared_reserved",
        sa.Column("budget", sa.Text, primary_key=True),
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("replica", sa.String(100), nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("dollars", sa.Double, nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("shared_reserved_of_request", "shared_reserved", ["id"])
