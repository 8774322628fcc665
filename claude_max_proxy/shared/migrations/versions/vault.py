"""What dialects keep for their clients, sealed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY


revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "shared_vault",
        sa.Column("owner", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("names", ARRAY(sa.BigInteger), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("shared_vault_by_age", "shared_vault", ["made"])
    op.create_index("shared_vault_of_owner", "shared_vault", ["owner", "made"])
    op.create_index("shared_vault_by_name", "shared_vault", ["names"], postgresql_using="gin")
