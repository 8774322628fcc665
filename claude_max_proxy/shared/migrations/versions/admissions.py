"""What was admitted within the last minute, and the function that admits.

The table is not logged: after a crash of the database a new minute begins, and until then nothing waits for
a disk. The lock is one for each name, so requests of different names never wait for one another.
"""

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"

_ADMIT = """
CREATE FUNCTION shared_admit(asked text, wanted integer, most integer)
RETURNS TABLE (admitted integer, wait double precision) LANGUAGE plpgsql AS $$
DECLARE
    used bigint;
    moment timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(asked, 7521950));
    moment := clock_timestamp();
    SELECT coalesce(sum(amount), 0) INTO used FROM shared_admissions
    WHERE bucket = asked AND made > moment - interval '60 seconds';
    admitted := greatest(least(wanted, most - used), 0);
    wait := 0;
    IF admitted > 0 THEN
        INSERT INTO shared_admissions (bucket, made, amount) VALUES (asked, moment, admitted);
    END IF;
    IF admitted < wanted THEN
        SELECT extract(epoch FROM counted.made + interval '60 seconds' - moment) INTO wait FROM (
            SELECT made, sum(amount) OVER (ORDER BY made) AS gone FROM shared_admissions
            WHERE bucket = asked AND made > moment - interval '60 seconds'
        ) AS counted WHERE used + admitted - counted.gone < most ORDER BY counted.made LIMIT 1;
        wait := coalesce(wait, 60);
    END IF;
    RETURN NEXT;
END $$
"""


def upgrade() -> None:
    """Create the table and the function."""
    op.create_table(
        "shared_admissions",
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("shared_admissions_of_bucket", "shared_admissions", ["bucket", "made"])
    op.execute(_ADMIT)
