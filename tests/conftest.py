"""What every test may use: the installed CLIs, by the fixture `cli`."""

from __future__ import annotations

from functools import cache

import pytest

from tests import installed_cli


@cache
def _found(name: str) -> str | RuntimeError:
    """Look once: what could not be installed is not tried again for each test."""
    try:
        return installed_cli.command(name)
    except RuntimeError as error:
        return error


@pytest.fixture(scope="module", params=installed_cli.names())
def cli(request: pytest.FixtureRequest) -> str:
    """Return the path of a real Claude Code CLI; a test that takes it runs once for each."""
    found = _found(request.param)
    if isinstance(found, RuntimeError):
        raise found
    return found


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install the CLIs that the chosen tests need before the first of them is on the clock."""
    if session.config.option.collectonly:
        return

    wanted = {item.callspec.params.get("cli") for item in session.items if hasattr(item, "callspec")}
    for name in sorted(filter(None, wanted)):
        _found(name)
