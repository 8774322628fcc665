"""The attacks of `make attack` that are cheap and that the proxy withstands, at a fiftieth of their size."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests import installed_cli
from tests.attack.house import House
from tests.attack.registry import Attack, every


SCALE = 0.02
QUICK = [one for one in every() if one.quick]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """A proxy that all attacks share."""
    async with House(installed_cli.PINNED, installed_cli.command(installed_cli.PINNED), SCALE) as house:
        yield house


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("attack", QUICK, ids=lambda one: f"{one.concern}: {one.name}")
async def test_held(attack: Attack, house: House) -> None:
    """During an attack the proxy serves honest clients, and afterwards it is in the same state as before."""
    result = await house.run(attack)
    assert result.held, f"{attack.shows}\n" + "\n".join(result.problems)
    assert result.tried
