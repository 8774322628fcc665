"""Records of finished requests."""

from __future__ import annotations

from claude_max_proxy import Record
from claude_max_proxy.record import CLIENT_LEFT


def test_a_record_needs_only_a_model() -> None:
    """Everything that is unknown about a request has a default that says so."""
    record = Record("gpt-4o")
    assert (record.usage, record.first_token, record.error, record.live) == (None, None, "", False)


def test_leaving_has_a_status_of_its_own() -> None:
    """A client that disconnected is distinguishable from every status that a client can get."""
    assert CLIENT_LEFT == 499
