"""The ledger names, and prices, the model that answered, whatever it was called on the way there."""

from __future__ import annotations

import pytest

from claude_max_proxy import Record, Usage
from claude_max_proxy.ledger import row as rows
from claude_max_proxy.ledger.prices import price_of


@pytest.mark.parametrize(
    ("record", "model"),
    [
        (Record("gpt-4o", "sonnet", answered_by="claude-sonnet-4-5-20250929"), "claude-sonnet-4-5-20250929"),
        (Record("gpt-4o", "sonnet"), "sonnet"),
        (Record("gpt-4o"), ""),
    ],
)
def test_the_model_that_answered(record: Record, model: str) -> None:
    """An alias gives way to the provider's full name as soon as there is one."""
    row = rows.row_of(record)
    assert (row.model, row.upstream_model) == ("gpt-4o", model)


def test_the_price_is_not_that_of_another_provider() -> None:
    """The name that a client uses says nothing about the price: people call Claude by OpenAI's names."""
    usage = Usage(100_000, 0)
    assert price_of(usage, ("claude-sonnet-4-5-20250929", "sonnet"), 1_790_000_000) == pytest.approx(0.3)
    assert price_of(usage, ("", "sonnet-of-mine"), 1_790_000_000) is None
