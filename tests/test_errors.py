"""The error tree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from claude_max_proxy import errors
from claude_max_proxy.errors import (
    ClientError,
    InvalidRequest,
    ProxyError,
    ProxyFault,
    UpstreamError,
    UsageLimitReached,
)


def tree(cls: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    """Yield every class below ``cls`` that the package itself defines."""
    for below in cls.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from tree(below)


LEAVES = [cls for cls in tree() if not cls.__subclasses__()]


def test_the_drawing_is_the_tree() -> None:
    """The tree at the top of the module names every class, with its status."""
    drawn = dict(re.findall(r"── (\w+) .*?(\d{3}|4xx)?$", errors.__doc__ or "", re.MULTILINE))
    assert set(drawn) == {cls.__name__ for cls in tree()}
    for cls in LEAVES:
        assert drawn[cls.__name__] == str(cls.status)


@pytest.mark.parametrize("cls", LEAVES)
def test_status_and_fault_agree(cls: type[ProxyError]) -> None:
    """An error that is the client's fault is a 4xx, and every error's base says whose fault it is."""
    bases = {"client": ClientError, "upstream": UpstreamError, "proxy": ProxyFault}
    assert issubclass(cls, bases[cls.fault])
    assert cls.fault != "client" or 400 <= cls.status < 500
    assert cls.code
    # As OpenAI's own `insufficient_quota`; clients give up at once when the type is that of a used-up plan.
    assert cls.type.endswith("_error") or cls.type in {cls.code, UsageLimitReached.type}


def test_an_error_carries_its_details() -> None:
    """An error has a message, the field's path, its own code, and the time to wait."""
    error = InvalidRequest("n is wrong", param="n", code="odd", retry_after=3)
    assert (error.message, error.param, error.code, error.retry_after) == ("n is wrong", "n", "odd", 3)
    assert str(error) == "n is wrong"


def test_a_code_of_its_own_stays_its_own() -> None:
    """One error's code does not change the code of its class."""
    InvalidRequest("x", code="odd")
    assert InvalidRequest("x").code == "invalid_request"


def test_what_another_model_may_do() -> None:
    """A failure that another model may not have falls back to that model; a client's mistake does not."""
    assert {cls.__name__ for cls in LEAVES if cls.falls_back} == {
        "BackendUnavailable",
        "Busy",
        "ContextLengthExceeded",
        "Overloaded",
        "RateLimited",
        "ToolNotCalled",
        "UpstreamFailed",
        "UpstreamTimeout",
        "UsageLimitReached",
    }


def test_limits_are_429() -> None:
    """Clients of every kind back off at a 429."""
    assert {cls.__name__ for cls in LEAVES if cls.status == 429} == {
        "BudgetSpent",
        "Busy",
        "RateLimited",
        "TooManyRequests",
        UsageLimitReached.__name__,
    }
