"""Which of several proxies answered a request; it is not known of the requests before this step."""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("requests", sa.Column("replica", sa.String(200), nullable=False, server_default=""))
