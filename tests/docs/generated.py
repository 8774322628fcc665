"""The parts of ``docs/`` that are written by the code: the errors, the hooks, and the files of clients.

    python -m tests.docs.generated

writes them anew, between ``<!-- NAME -->`` and ``<!-- end -->``, where a name may be followed by what it is
about. A test asserts that this changes nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from claude_max_proxy import ClientError, ProxyError, ProxyFault, UpstreamError, hookspecs
from tests.docs import client_pages


DOCS = Path(__file__).parents[2] / "docs"
_KINDS = {True: "the first answer that is not `None` wins", False: "every implementation is called"}


def errors() -> str:
    """Write a table of every error that a request can end in."""
    rows = ["| error | status | code | type | when |", "|---|---|---|---|---|"]
    for fault in (ClientError, UpstreamError, ProxyFault):
        rows += [_row(error) for error in leaves(fault)]
    return "\n".join(rows)


def _row(error: type[ProxyError]) -> str:
    cells = (f"`{error.__name__}`", str(error.status), f"`{error.code}`", f"`{error.type}`", _summary(error))
    return f"| {' | '.join(cells)} |"


def leaves(error: type[ProxyError]) -> Iterator[type[ProxyError]]:
    """Return the classes at the ends of the tree, in the order of their definition."""
    below = error.__subclasses__()
    if not below:
        yield error
    for child in below:
        yield from leaves(child)


def hooks() -> str:
    """Write each hook: its signature, and what it is for."""
    return "\n\n".join(_hook(name, function) for name, function in hook_functions().items())


def hook_functions() -> dict[str, Callable[..., object]]:
    """Return the specifications of all hooks, in the order of the page."""
    return {
        name: function
        for name, function in vars(hookspecs).items()
        if inspect.isfunction(function) and hasattr(function, f"{hookspecs.PROJECT}_spec")
    }


def _hook(name: str, function: Callable[..., object]) -> str:
    first_result = getattr(function, f"{hookspecs.PROJECT}_spec")["firstresult"]
    signature = f"def {name}{inspect.signature(function)}".replace("'", "")
    text = inspect.cleandoc(function.__doc__ or "").replace("``", "`")
    return f"### `{name}`\n\n```python\n{signature}\n```\n\n{text} Here {_KINDS[first_result]}."


def _summary(error: type[ProxyError]) -> str:
    return " ".join((error.__doc__ or "").split("\n\n")[0].split()).replace("``", "`").removesuffix(".")


PARTS: dict[str, Callable[..., str]] = {
    "errors": errors,
    "hooks": hooks,
    "file": client_pages.file,
    "checks": client_pages.checks,
    "clients": client_pages.table,
    "apart": client_pages.apart,
}


def filled(text: str) -> str:
    """Return a page with its generated parts written anew."""
    for name, write in PARTS.items():
        pattern = re.compile(rf"(<!-- {name}((?: \S+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(
            lambda match, part=write: f"{match[1]}\n{part(*match[2].split())}\n\n{match[3]}", text
        )
    return text


def main() -> None:
    """Write them."""
    for page in sorted(DOCS.rglob("*.md")):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
