"""What checks assert, with messages that say what is wrong: these modules are no test files to pytest."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.stage import Output


_LENGTH = 300


def same(found: object, wanted: object, what: str) -> None:
    """Expect two values to be equal."""
    assert found == wanted, f"{what} is {found!r}, not {wanted!r}"


def holds(condition: object, otherwise: str) -> None:
    """Expect something to be so."""
    assert condition, otherwise


def within(part: str, whole: str, what: str) -> None:
    """Expect a text to have another in it."""
    assert part in whole, f"{part!r} is not in {what}: {whole[-_LENGTH:]!r}"


def fine(output: Output) -> str:
    """Expect a command to have ended well, and return what it printed."""
    said = (output.errors or output.printed)[-_LENGTH:]
    assert output.status == 0, f"it ended with status {output.status}: {said}"
    return output.printed


def document(printed: str) -> dict[str, Any]:
    """Return the JSON object in what a command printed, whatever comes before it."""
    start = printed.find("{")
    assert start >= 0, f"no JSON was printed: {printed[-_LENGTH:]!r}"
    found: dict[str, Any] = json.JSONDecoder().raw_decode(printed, start)[0]
    return found
