"""The tables as SQLAlchemy sees them; the migrations create them. Imported only where a database is used.

There are no counters that requests update. ``requests`` only grows, and ``hours`` is computed from it, once
for each hour that is over.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
)


metadata = MetaData()

requests = Table(
    "requests",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("began", Double, nullable=False),
    Column("hour", BigInteger, nullable=False),  # in which it began, so that every database groups alike
    Column("key", String(200), nullable=False),
    Column("program", String(200), nullable=False),
    Column("session", String(200), nullable=False),
    Column("dialect", String(200), nullable=False),
    Column("path", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("backend", String(200), nullable=False),
    Column("upstream_model", String(200), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("code", String(200), nullable=False),
    Column("ending", String(200), nullable=False),
    Column("finish", String(200), nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("replayed", String(200), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger),
    Column("first_token", Double),
    Column("last_token", Double),
    Column("total", Double, nullable=False),
    Column("queued", Double, nullable=False),
    Column("pieces", Integer, nullable=False),
    Column("traceparent", String(200), nullable=False),
    Column("price", Double),
    Column("replica", String(200), nullable=False, server_default=""),
    Index("requests_by_time", "began", "id"),
    Index("requests_by_key", "key", "began"),
    Index("requests_by_model", "model", "began"),
    Index("requests_by_session", "session", "began"),
)

# The sums of each hour, in several groupings, so that no question has to read more than it asks for.
# `grouped_by` says by what a row is grouped; the names by which it is not are empty.
hours = Table(
    "hours",
    metadata,
    Column("grouped_by", String(20), primary_key=True),
    Column("hour", BigInteger, primary_key=True),  # its beginning, in seconds since 1970
    Column("key", String(200), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("program", String(200), primary_key=True),
    Column("backend", String(200), primary_key=True),
    Column("dialect", String(200), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("live", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("price", Double, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    Index("hours_by_key", "grouped_by", "key", "hour"),
    Index("hours_by_model", "grouped_by", "model", "hour"),
    sqlite_with_rowid=False,
)

# The hours in which rows were written that `hours` does not contain yet. Each batch of rows adds its hours.
hours_due = Table("hours_due", metadata, Column("hour", BigInteger, primary_key=True))

# Where rows are missing, and how many.
gaps = Table(
    "gaps",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("began", Double, nullable=False),
    Column("ended", Double, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Index("gaps_by_time", "began"),
)

# Facts about the ledger itself: `pruned_before`, the time before which `requests` is no longer complete.
facts = Table(
    "facts", metadata, Column("name", String(40), primary_key=True), Column("value", Double, nullable=False)
)
