"""Says which lines and branches of the pure modules are run by none of the tests that ``make coverage`` runs.

    python -m scripts.pure_modules

reads what ``make coverage`` measured. A module is pure if its docstring says so, or if it is in one of ROOMS:
values in, values out, without clock, environment, files or waiting. Such code can be tested with data alone,
so all of it is; below FLOOR, in percent, the exit status is 1.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import coverage


ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "claude_max_proxy"
ROOMS = ("anthropic_messages", "capabilities", "formats", "errors.py", "events.py", "record.py", "request.py")
FLOOR = 100
_SAYS_SO = re.compile(r"\bPure\.|\bis pure\b")


def pure_modules() -> list[Path]:
    """Return the files of all pure modules."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if _is_pure(path)]


def _is_pure(path: Path) -> bool:
    if path.relative_to(PACKAGE).parts[0] in ROOMS:
        return True
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return _SAYS_SO.search(docstring) is not None


def main() -> int:
    """Print what is left out, if anything is; return the exit status."""
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    modules = pure_modules()
    print(f"\nof {len(modules)} pure modules:")
    total = measured.report(include=[str(path) for path in modules], skip_covered=True, show_missing=True)
    return 0 if total >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
