"""The fuzzing of ``make fuzz``, for a few seconds."""

from __future__ import annotations

import pytest

from tests.fuzzing import fuzz_api


@pytest.mark.slow
async def test_the_api() -> None:
    """Whatever is sent, the answer comes soon, is described by ``/openapi.json``, and is never a 500."""
    found = await fuzz_api(8)
    assert not found.problem, found.problem
    assert found.tried
