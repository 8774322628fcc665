"""The first tables: requests, their sums by the hour, and gaps."""

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None

_NAMES = ("key", "program", "session", "dialect", "path", "model", "backend", "upstream_model")
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def upgrade() -> None:
    """Create the tables."""
    _requests()
    _hours()
    op.create_table("hours_due", sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False))
    op.create_table(
        "gaps",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=False),
        sa.Column("lost", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
    )
    op.create_index("gaps_by_time", "gaps", ["began"])
    op.create_table(
        "facts",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(200), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("began", sa.Double, nullable=False),
        _number("hour"),
        *map(_text, _NAMES),
        sa.Column("status", sa.SmallInteger, nullable=False),
        *map(_text, ("code", "ending", "finish")),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        _text("replayed"),
        *map(_number, _TOKENS),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("first_token", sa.Double),
        sa.Column("last_token", sa.Double),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("queued", sa.Double, nullable=False),
        sa.Column("pieces", sa.Integer, nullable=False),
        _text("traceparent"),
        sa.Column("price", sa.Double),
    )
    op.create_index("requests_by_time", "requests", ["began", "id"])
    for name in ("key", "model", "session"):
        op.create_index(f"requests_by_{name}", "requests", [name, "began"])


def _hours() -> None:
    op.create_table(
        "hours",
        sa.Column("grouped_by", sa.String(20), primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.String(200), primary_key=True)
            for name in ("key", "model", "program", "backend", "dialect")
        ),
        *map(_number, ("requests", "failures", "live", *_TOKENS, "reasoning_tokens")),
        sa.Column("price", sa.Double, nullable=False),
        _number("unpriced"),
        sqlite_with_rowid=False,
    )
    for name in ("key", "model"):
        op.create_index(f"hours_by_{name}", "hours", ["grouped_by", name, "hour"])
