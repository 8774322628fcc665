"""The hooks in a plugin's module: an unknown name or argument is reported with the closest known one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import PluginsConfig
from claude_max_proxy.plugin.drop_ins import DropIns
from claude_max_proxy.plugin.hooks import HOOKS
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from tests.docs.generated import hook_functions


HEAD = "from claude_max_proxy import hookimpl\n"
MARKED = HEAD + "@hookimpl\ndef {}({}): ...\n"
WRONG = {
    "a hook that is misspelt": (
        MARKED.format("rewrite_requests", "request"),
        "there is no hook 'rewrite_requests'; did you mean 'rewrite_request'?",
    ),
    "a hook of another name": (
        MARKED.format("on_start", ""),
        "there is no hook 'on_start'; known here: ",
    ),
    "a hook that is named apart": (
        HEAD + "@hookimpl(specname='log_requests')\ndef log(record): ...\n",
        "there is no hook 'log_requests'; did you mean 'log_request'?",
    ),
    "an argument that is misspelt": (
        MARKED.format("rewrite_request", "reqest, settings"),
        "the hook rewrite_request has no argument 'reqest'; did you mean 'request'?",
    ),
    "an argument of another hook": (
        MARKED.format("log_request", "request"),
        "the hook log_request has no argument 'request'; known here: record, settings",
    ),
}
SILENT = {
    "nothing": (
        "",
        "mark a function that has the name of a hook with claude_max_proxy.hookimpl, or ",
    ),
    "helpers": ("def helper(): ...\nLIMIT = 3\n", "or let the name of the file begin with an underscore"),
    "a hook without its mark": (
        "def rewrite_request(request): ...\n",
        "mark 'rewrite_request' with claude_max_proxy.hookimpl",
    ),
    "a misspelt hook without its mark": (
        "async def log_requests(record): ...\n",
        "mark 'log_requests' with claude_max_proxy.hookimpl, and call it 'log_request'",
    ),
}


def folder_of(path: Path, source: str) -> Path:
    """A folder with one plugin."""
    folder = path / "plugins"
    folder.mkdir(mode=0o700)
    (folder / "mine.py").write_text(source)
    (folder / "mine.py").chmod(0o600)
    return folder


def test_every_hook_is_known() -> None:
    """The known hooks are those on the page."""
    assert hook_functions() == HOOKS


@pytest.mark.parametrize(("source", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_hook(tmp_path: Path, source: str, message: str) -> None:
    """A file with an unknown hook or argument is left out, and the closest known one is suggested."""
    found = DropIns([folder_of(tmp_path, source)])
    (problem,) = found.problems.values()
    assert problem.startswith(f"plugin 'mine' ({tmp_path}/plugins/mine.py): {message}")
    assert found.files == {}


def test_an_object_that_is_registered() -> None:
    """The hooks of a plugin that is an object, not a file, are checked, too."""

    class Mine:
        @staticmethod
        def rewrite_requests() -> None: ...

    Mine.rewrite_requests.claude_max_proxy_impl = {}  # type: ignore[attr-defined]  # as hookimpl marks it
    with pytest.raises(ConfigError, match="did you mean 'rewrite_request'"):
        Plugins([*load_built_ins(), Plugin("mine", Mine(), "a test")], PluginsConfig())


@pytest.mark.parametrize(("source", "remedy"), SILENT.values(), ids=SILENT)
def test_a_file_without_hooks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str, remedy: str
) -> None:
    """A file without hooks is reported once, with what to do; it is not a problem."""
    folder = folder_of(tmp_path, source)
    first = DropIns([folder])
    (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told.getMessage().startswith(f"plugin {folder}/mine.py has no hook, and so does nothing: ")
    assert remedy in told.getMessage()
    assert first.problems == {}
    DropIns([folder], first)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("hook", "arguments"), [("configured", "new, mine=3"), ("shutdown", "")])
def test_a_file_with_one(tmp_path: Path, caplog: pytest.LogCaptureFixture, hook: str, arguments: str) -> None:
    """A file with a hook is not reported; an argument with a default is the plugin's own."""
    found = DropIns([folder_of(tmp_path, MARKED.format(hook, arguments))])
    assert (found.problems, caplog.records) == ({}, [])
