"""Renders the templates: what comes from outside is escaped, and what is missing is an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from claude_max_proxy.observers.page import formatting
from claude_max_proxy.observers.page.assets import url


if TYPE_CHECKING:
    import jinja2


_FILTERS: dict[str, Callable[..., str]] = {
    "clock": formatting.clock,
    "count": formatting.count,
    "dollars": formatting.dollars,
    "exact": formatting.exact,
    "iso": formatting.iso,
    "name": formatting.name,
    "said": formatting.said,
    "share": formatting.share,
    "short_time": formatting.short_time,
    "size": formatting.size,
    "span": formatting.span,
}


def render(template: str, **values: Any) -> str:
    """Return a template of this package, filled in."""
    return environment().get_template(template).render(values)


@cache
def environment() -> jinja2.Environment:
    """Return what renders the templates. It imports Jinja2, so the first call takes tens of milliseconds."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= _FILTERS
    made.globals["static"] = url
    return made


def prepare(template: str = "") -> None:
    """Load what rendering a template needs: Jinja2, the template, those that it uses, and the files."""
    url("page.css")
    if template:
        _load(template)
    _ready.add(template)


def is_prepared(template: str = "") -> bool:
    """Return whether rendering a template takes no time that others would notice."""
    return template in _ready


def _load(name: str) -> None:
    made = environment()
    made.get_template(name)
    assert made.loader is not None
    for other in _USED.findall(made.loader.get_source(made, name)[0]):
        if other not in _ready:
            _load(other)
    _ready.add(name)


_USED = re.compile(r'\{%-? *(?:extends|include|import) "([^"]+)"')
_ready: set[str] = set()
