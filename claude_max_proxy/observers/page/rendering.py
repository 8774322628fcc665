"""Renders the templates: what comes from outside is escaped, and what is missing is an error."""

from __future__ import annotations

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


def prepare() -> None:
    """Load everything that rendering needs: Jinja2, the templates, and the names of the files."""
    made = environment()
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    url("page.css")
    _prepared.append(True)


def is_prepared() -> bool:
    """Return whether rendering takes no time that others would notice."""
    return bool(_prepared)


_prepared: list[bool] = []
