"""The parts of ``docs/`` that are generated from the code: errors, events, hooks, settings and others.

    python -m tests.docs.generated

writes them again, between ``<!-- NAME -->`` and ``<!-- end -->``, where a name may be followed by what it is
about, and the annotated ``proxy.toml``. A test asserts that this changes nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec

from claude_max_proxy import ClientError, Event, ProxyError, hookspecs
from claude_max_proxy.cli.annotated import annotated
from claude_max_proxy.errors import ProxyFault, UpstreamError
from claude_max_proxy.observers.metrics.names import METRICS
from tests.docs import client_pages, configmap, settings_tables


ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_ORIGINS = {"client": "client", "upstream": "provider", "proxy": "proxy"}
_KINDS = {
    True: "The proxy calls implementations until one of them returns something other than `None`.",
    False: "The proxy calls every implementation.",
}


def errors() -> str:
    """Return a table of all errors in which a request can end."""
    rows = ["| error | status | code | type | origin | when |", "|---|---|---|---|---|---|"]
    for fault in (ClientError, UpstreamError, ProxyFault):
        rows += [_row(error) for error in below(fault)]
    return "\n".join(rows)


def _row(error: type[ProxyError]) -> str:
    names = (f"`{error.__name__}`", str(error.status), f"`{error.code}`", f"`{error.type}`")
    return f"| {' | '.join((*names, _ORIGINS[error.fault], _summary(error)))} |"


def below(error: type[ProxyError]) -> Iterator[type[ProxyError]]:
    """Return the classes that derive from this one, in the order of their definition."""
    for child in error.__subclasses__():
        yield child
        yield from below(child)


def events() -> str:
    """Write a table of the events of an answer and their fields."""
    rows = ["| event | fields | what it says |", "|---|---|---|"]
    for event in get_args(Event):
        fields = ", ".join(map(_field, msgspec.structs.fields(event)))
        text = (
            " ".join(inspect.cleandoc(event.__doc__ or "").split()).replace("``", "`").replace(":class:", "")
        )
        rows.append(f"| `{event.__name__}` | {fields} | {text} |")
    return "\n".join(rows)


def _field(field: msgspec.structs.FieldInfo) -> str:
    """Write a field with its default, or with its values if there are only some."""
    if get_origin(field.type) is Literal:
        return f"`{field.name}` ({', '.join(f'`{value}`' for value in get_args(field.type))})"
    return f"`{field.name}`" if field.default is msgspec.NODEFAULT else f"`{field.name} = {field.default!r}`"


def hooks() -> str:
    """Return all hooks: the signature of each, and what it is for."""
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
    return f"### `{name}`\n\n```python\n{signature}\n```\n\n{text}\n\n{_KINDS[first_result]}"


def metrics() -> str:
    """Return a table of all metrics."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for one in METRICS:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        rows.append(f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} |")
    return "\n".join(rows)


def _summary(error: type[ProxyError]) -> str:
    return " ".join((error.__doc__ or "").split("\n\n")[0].split()).replace("``", "`").removesuffix(".")


PARTS: dict[str, Callable[..., str]] = {
    "errors": errors,
    "events": events,
    "hooks": hooks,
    "metrics": metrics,
    "settings": settings_tables.table,
    "file": client_pages.file,
    "checks": client_pages.checks,
    "clients": client_pages.table,
    "apart": client_pages.apart,
}


def filled(text: str) -> str:
    """Return a page with its generated parts replaced."""
    for name, write in PARTS.items():
        pattern = re.compile(rf"(<!-- {name}((?: \S+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(partial(_filled_part, write), text)
    return text


def _filled_part(write: Callable[..., str], match: re.Match[str]) -> str:
    return f"{match[1]}\n{write(*match[2].split())}\n\n{match[3]}"


def main() -> None:
    """Write the pages."""
    for page in sorted(DOCS.rglob("*.md")):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
    (ROOT / "proxy.toml").write_text(annotated(), "utf-8")
    configmap.PLACE.write_text(configmap.configmap(), "utf-8")


if __name__ == "__main__":
    main()
