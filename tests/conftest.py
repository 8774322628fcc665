"""What all tests can use: the installed CLIs, by the fixture `cli`; and the lane that each test runs in."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import installed_cli


# Folders whose tests run the real CLI, whatever their fixtures are called.
_RUN_THE_CLI = ("attack", "end_to_end")
_HERE = Path(__file__).parent
# How long an example takes says more about the machine than about the code; each test has its own time limit.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@cache
def _found(name: str) -> str | RuntimeError:
    """Look for the CLI once: if it cannot be installed, that is not tried again for each test."""
    try:
        return installed_cli.command(name)
    except RuntimeError as error:
        return error


@pytest.fixture(scope="session", autouse=True)
def _own_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the ledgers of all proxies that tests start, also in other processes, out of the user's data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module", params=installed_cli.names())
def cli(request: pytest.FixtureRequest) -> str:
    """Return the path of a real Claude Code CLI; a test that uses this runs once for each CLI."""
    found = _found(request.param)
    if isinstance(found, RuntimeError):
        raise found
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs the real CLI, so that `-m "not cli"` is the lane without it."""
    for item in items:
        folders = item.path.relative_to(_HERE).parts[:-1] if item.path.is_relative_to(_HERE) else ()
        if {*_RUN_THE_CLI} & {*folders} or "cli" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cli)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
    """Let a worker of pytest-xdist report what was logged, also where that is no valid Unicode."""
    report = yield
    if report and "sections" in report:
        report["sections"] = [
            (title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report["sections"]
        ]
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get ready what all tests need, before the time limit of the first test begins.

    The CLIs that they need are installed. The garbage collector is told to leave alone what is there by now,
    which is much and stays, and to look less often: it took a quarter of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 10, 10)
    if session.config.option.collectonly:
        return

    wanted = {item.callspec.params.get("cli") for item in session.items if hasattr(item, "callspec")}
    for name in sorted(filter(None, wanted)):
        _found(name)
