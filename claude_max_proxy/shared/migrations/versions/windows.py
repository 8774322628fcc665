"""Who has used what since a window of a plan began, as each replica has counted it."""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "shared_windows",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("began", sa.DateTime(timezone=True), nullable=False),
        sa.Column("base", sa.Double, nullable=False),
        sa.Column("counted", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("shared_windows_by_name", "shared_windows", ["name", "began"])
    op.create_table(
        "shared_window_use",
        sa.Column(
            "window_id",
            sa.BigInteger,
            sa.ForeignKey("shared_windows.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("counter", sa.String(200), primary_key=True),
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("amount", sa.Double, nullable=False),
    )
