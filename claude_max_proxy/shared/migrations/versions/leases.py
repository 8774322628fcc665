"""What a reservation is for: one request, or several and what a replica has leased for those to come."""

import sqlalchemy as sa
from alembic import op


revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; what is already there is for one request each."""
    for name, kind, default in (
        ("requests", sa.Integer, "1"),
        ("spare_tokens", sa.BigInteger, "0"),
        ("spare_dollars", sa.Double, "0"),
    ):
        op.add_column("shared_reserved", sa.Column(name, kind, nullable=False, server_default=default))
