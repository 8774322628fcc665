"""Sums by the hour say what the requests say, whatever is late, summed up again, or deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_max_proxy.ledger import Row, Where, keeping, queries, tables
from claude_max_proxy.ledger.database import Database
from claude_max_proxy.ledger.usage import By
from tests.ledger.rows import HOUR, START


HOURS = 6
END = START + HOURS * HOUR
BYS: tuple[By, ...] = ("key", "model", "program", "backend", "dialect", "hour")
NAMES = st.sampled_from(["", "a", "b"])
ROWS = st.builds(
    Row,
    id=st.text("0123456789abcdef", min_size=3, max_size=4),
    began=st.integers(0, HOURS * 12 - 1).map(lambda number: START + number * 300.0),
    key=NAMES,
    model=NAMES,
    program=NAMES,
    backend=NAMES,
    dialect=NAMES,
    status=st.sampled_from([200, 404, 499]),
    live=st.booleans(),
    input_tokens=st.integers(0, 9),
    output_tokens=st.integers(0, 9),
    reasoning_tokens=st.none() | st.integers(0, 9),
    price=st.none() | st.just(0.5),
)
STEPS = st.lists(
    st.tuples(st.just("write"), st.lists(ROWS, max_size=8))
    | st.tuples(st.just("sum up"), st.integers(0, HOURS))
    | st.tuples(st.just("prune"), st.integers(0, HOURS)),
    max_size=12,
)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Return an open database."""
    opened = Database(url)
    yield opened
    opened.close()


class Truth:
    """What the sums must say: every row that was accepted, once."""

    def __init__(self) -> None:
        """Begin empty."""
        self.rows: dict[str, Row] = {}
        self.pruned = 0.0

    def add(self, rows: list[Row]) -> int:
        """Take rows as the ledger must; return how many are too old."""
        young = [row for row in rows if row.began >= self.pruned]
        for row in young:
            self.rows.setdefault(row.id, row)
        return len(rows) - len(young)

    def usage(self, by: str, since: float, until: float, where: Where) -> dict[str, tuple[float, ...]]:
        """Add up the rows between two times."""
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 7)
        for row in self.rows.values():
            matches = all(getattr(where, name) in {None, getattr(row, name)} for name in queries.NAMES)
            if since <= row.began < until and matches:
                group = str(row.began // HOUR * HOUR) if by == "hour" else getattr(row, by)
                counted = row.input_tokens + row.output_tokens > 0
                numbers = (1, 400 <= row.status != 499, row.live, row.input_tokens, row.output_tokens)
                more = (row.reasoning_tokens or 0, row.price or 0.0, row.price is None and counted)
                for index, number in enumerate((*numbers, more[0] + 100 * more[1], more[2])):
                    sums[group][index] += number
        return {group: tuple(numbers) for group, numbers in sums.items()}


def asked(
    database: Database, by: By, since: float, until: float, where: Where
) -> dict[str, tuple[float, ...]]:
    """Return what the ledger says, in the form of the truth."""
    return {
        str(float(one.start)) if one.start is not None else one.group: (
            *(one.requests, one.failures, one.live, one.input_tokens, one.output_tokens),
            one.reasoning_tokens + 100 * one.price,
            one.unpriced,
        )
        for one in queries.usage(database, by, since, until, where)
    }


def clear(database: Database) -> None:
    """Empty all tables."""
    with database.writing() as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(table.delete())


def take(database: Database, truth: Truth, steps: list[tuple[str, object]]) -> None:
    """Do one thing after the other, to the ledger and to the truth."""
    for kind, value in steps:
        if kind == "write":
            assert isinstance(value, list)
            assert keeping.write(database, value) == truth.add(value)
        elif kind == "sum up":
            assert isinstance(value, int)
            keeping.sum_up(database, START + value * HOUR)
        else:
            assert isinstance(value, int)
            keeping.begin_pruning(database, START + value * HOUR)
            truth.pruned = max(truth.pruned, START + value * HOUR)
            keeping.prune(database, 3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=STEPS,
    by=st.sampled_from(BYS),
    span=st.tuples(st.integers(0, HOURS), st.integers(0, HOURS)).map(sorted),
    where=st.builds(Where, key=st.none() | NAMES, model=st.none() | NAMES),
)
def test_sums_are_exact(
    database: Database, steps: list[tuple[str, object]], by: By, span: list[int], where: Where
) -> None:
    """For whole hours, what is asked of the ledger is the sum of all rows that it took, each of them once."""
    clear(database)
    truth = Truth()
    take(database, truth, steps)
    since, until = START + span[0] * HOUR, START + span[1] * HOUR
    assert asked(database, by, since, until, where) == truth.usage(by, since, until, where)
    spent = queries.spent(database, since, where)
    assert spent.requests == sum(one[0] for one in truth.usage(by, since, END, where).values())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.just("write"), st.lists(ROWS, max_size=8))
        | st.tuples(st.just("sum up"), st.integers(0, HOURS)),
        max_size=8,
    ),
    by=st.sampled_from(BYS),
    span=st.tuples(st.integers(0, HOURS * 12), st.integers(0, HOURS * 12)).map(sorted),
)
def test_parts_of_hours_are_exact(
    database: Database, steps: list[tuple[str, object]], by: By, span: list[int]
) -> None:
    """While the requests are there, any time can be asked for, not only whole hours."""
    clear(database)
    truth = Truth()
    take(database, truth, steps)
    since, until = START + span[0] * 300, START + span[1] * 300
    assert asked(database, by, since, until, Where()) == truth.usage(by, since, until, Where())


def test_pruning_goes_in_small_steps(database: Database) -> None:
    """Each step deletes no more than it may, the oldest first, and the sums stay."""
    rows = [Row(id=f"{number:03}", began=START + number, model="m") for number in range(100)]
    keeping.write(database, rows)
    keeping.begin_pruning(database, START + HOUR)
    assert keeping.prune(database, 30) == 30
    assert queries.requests(database, Where(), 1000, None)[-1].id == "030"
    assert [keeping.prune(database, 30) for _ in range(4)] == [30, 30, 10, 0]
    assert queries.spent(database, START, Where()).requests == 100
    assert (
        queries.usage(database, "model", START + 10, START + 20, Where())[0].requests == 100
    )  # a whole hour


def test_only_whole_hours_are_pruned(database: Database) -> None:
    """The hour in which the limit falls is kept."""
    keeping.write(database, [Row(id="a", began=START), Row(id="b", began=START + HOUR)])
    keeping.begin_pruning(database, START + 1.5 * HOUR)
    keeping.prune(database, 10)
    assert [row.id for row in queries.requests(database, Where(), 10, None)] == ["b"]


def test_hours_that_are_over(database: Database) -> None:
    """Only an hour that is over is due, and once it is summed up, only a late row makes it due again."""
    keeping.write(database, [Row(id="a", began=START), Row(id="b", began=START + HOUR)])
    assert keeping.due(database, START + HOUR - 1) == []
    assert keeping.due(database, START + HOUR) == [START]
    keeping.sum_up(database, START)
    assert keeping.due(database, START + HOUR) == []
    keeping.write(database, [Row(id="c", began=START + 5)])
    assert keeping.due(database, START + HOUR) == [START]


def test_sessions_come_from_the_requests(database: Database) -> None:
    """What the sums do not know is added up from the requests, also for hours that are summed up."""
    keeping.write(
        database, [Row(id=str(one), began=START, session=f"s{one % 2}", code="c") for one in range(5)]
    )
    keeping.sum_up(database, START)
    found = queries.usage(database, "session", START, END, Where())
    assert [(one.group, one.requests) for one in found] == [("s0", 3), ("s1", 2)]
    assert queries.spent(database, START, Where(code="c", outcome="ok")).requests == 5
