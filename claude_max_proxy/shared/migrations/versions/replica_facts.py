"""What each replica says of itself."""

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; what is already there says nothing."""
    op.add_column("shared_replicas", sa.Column("address", sa.String(300), nullable=False, server_default=""))
    for name in ("running", "processes"):
        op.add_column("shared_replicas", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
