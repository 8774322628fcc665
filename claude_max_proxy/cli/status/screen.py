"""Makes the screen about the running proxy: lines of text, each with its colour, in local time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec

from claude_max_proxy.facts.plan_windows import PlanWindow
from claude_max_proxy.facts.processes import ProcessFacts
from claude_max_proxy.formats.quoting import plain
from claude_max_proxy.observers.meter.report import Report
from claude_max_proxy.observers.meter.words import clock, percent, span


_HIGH, _MIDDLE = 0.9, 0.75
_WIDEST_BAR, _NARROWEST_BAR, _BESIDE_BAR = 24, 8, 70
_FAILURES = 5
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Line(msgspec.Struct, frozen=True):
    """One line, and the name of its colour; empty means the terminal's own."""

    text: str = ""
    color: str = ""
    bold: bool = False


def screen(report: Report, where: str, width: int, *, fancy: bool = True) -> list[Line]:
    """Return the lines; ``where`` is the proxy's address, and no line is longer than ``width``.

    A terminal that is not ``fancy`` gets ASCII alone for the bars.
    """
    lines = [
        *_head(report, where),
        *_plans(report, _bar_width(width), fancy=fancy),
        *_budgets(report, _bar_width(width), fancy=fancy),
        *_replicas(report),
        *_processes(report),
        *_requests(report),
        *_failures(report),
        *_ledger(report),
    ]
    return [msgspec.structs.replace(line, text=_cut(line.text, width)) for line in lines]


def _head(report: Report, where: str) -> Iterator[Line]:
    status = str(report.health.get("status", "?"))
    color = {"ok": "green", "degraded": "yellow"}.get(status, "red")
    yield Line(f"claude-max-proxy {plain(report.version)} at {where}: {plain(status)}", color, bold=True)
    if problem := report.health.get("config_problem"):
        yield Line(f"  {plain(str(problem))}", "red")
    for name, facts in report.health.get("backends", {}).items():
        if problem := facts.get("problem") or facts.get("last_failure"):
            yield Line(f"  {plain(name)}: {plain(str(problem))}", "yellow")


def _plans(report: Report, bar_width: int, *, fancy: bool) -> Iterator[Line]:
    yield from _title("Plan")
    if not report.windows:
        yield Line("  no answer has told yet how much of a plan is used")
    for name, windows in report.windows.items():
        yield Line(f"  {plain(name)}")
        title_width = max(len(window.title) for window in windows)
        for window in windows:
            yield _window(window, title_width, bar_width, report.now, fancy=fancy)


def _window(window: PlanWindow, title_width: int, bar_width: int, now: float, *, fancy: bool) -> Line:
    words = [window.title.ljust(title_width)]
    if window.used is not None:
        words += [bar(window.used, bar_width, fancy=fancy), f"{percent(window.used):>5}"]
    if window.status not in ("", "allowed"):
        words.append(window.status)
    if window.resets_at is not None:
        words.append(f"resets in {span(window.resets_at - now)}")
    if window.runs_out_at is not None:
        early = ""
        if window.resets_at is not None:
            early = f", {span(window.resets_at - window.runs_out_at)} before"
        words.append(f"at this pace it runs out {clock(window.runs_out_at, now)}{early}")
    elif window.rate:
        words.append(f"{window.rate * 100:.1f} % an hour")
    if len(words) == 1:
        words.append(window.status or "not seen since its reset")
    return Line(f"    {'  '.join(words)}", _color(window))


def bar(share: float, width: int, *, fancy: bool) -> str:
    """Return a bar of this width for a share from 0 to 1; only what is used up fills it."""
    full, empty = ("█", "░") if fancy else ("#", "-")
    filled = min(int(max(share, 0.0) * width + 1e-9), width)
    return full * filled + empty * (width - filled)


def _color(window: PlanWindow) -> str:
    used = window.used or 0.0
    if window.status == "rejected" or used >= _HIGH:
        return "red"
    if window.status == "warning" or used >= _MIDDLE or window.runs_out_at is not None:
        return "yellow"
    return "green" if window.used is not None else ""


def _budgets(report: Report, bar_width: int, *, fancy: bool) -> Iterator[Line]:
    if not report.budgets:
        return

    yield from _title("Budgets")
    owners = [f"{one.kind} {plain(one.name)}" for one in report.budgets]
    owner_width = max(map(len, owners))
    for owner, one in zip(owners, report.budgets, strict=True):
        used, limit = (
            f"{value:,.2f}" if one.unit == "dollars" else f"{value:,.0f}" for value in (one.used, one.limit)
        )
        words = [owner.ljust(owner_width), bar(one.share, bar_width, fancy=fancy), f"{percent(one.share):>5}"]
        words.append(f"{used} of {limit} {one.unit} a{'n' if one.period == 'hour' else ''} {one.period}")
        if one.resets_at is not None:
            words.append(f"resets in {span(one.resets_at - report.now)}")
        color = "red" if one.share >= 1 else "yellow" if one.share >= _MIDDLE else "green"
        yield Line(f"  {'  '.join(words)}", color)


def _replicas(report: Report) -> Iterator[Line]:
    if not report.replicas:
        return

    yield from _title("Replicas")
    head = ("NAME", "ADDRESS", "VERSION", "UP", "SEEN", "REQUESTS", "PROCESSES")
    rows = [
        (
            plain(one.name),
            plain(one.address) or "-",
            plain(one.version) or "-",
            brief(one.age),
            "here" if one.here else f"{brief(one.seen)} ago",
            str(one.running),
            str(one.processes),
        )
        for one in report.replicas
    ]
    yield from _table([head, *rows])


def _processes(report: Report) -> Iterator[Line]:
    every = [(name, process) for name, processes in report.processes.items() for process in processes]
    if every:
        yield from _title("Processes")
        head = ("BACKEND", "PID", "STATE", "MODEL", "AGE", "IDLE", "TURNS", "MEMORY", "CPU", "SESSION")
        yield from _table([head, *(_process(name, process) for name, process in every)])


def _process(backend: str, process: ProcessFacts) -> tuple[str, ...]:
    return (
        backend,
        str(process.pid),
        process.state,
        process.model,
        brief(process.age),
        brief(process.idle),
        str(process.turns),
        size(process.memory),
        "-" if process.cpu is None else f"{process.cpu:.1f} s",
        process.session or "-",
    )


def _requests(report: Report) -> Iterator[Line]:
    yield from _title("Requests under way")
    if not report.underway:
        yield Line("  none")
        return
    head = ("MODEL", "BACKEND", "FOR", "FIRST TOKEN", "KEY", "PROGRAM", "ID")
    rows = [
        (
            one.model or "-",
            one.backend or "-",
            brief(one.seconds),
            "-" if one.first_token is None else f"{one.first_token:.1f} s",
            one.key or "-",
            one.program or "-",
            one.id,
        )
        for one in report.underway
    ]
    yield from _table([head, *rows])


def _failures(report: Report) -> Iterator[Line]:
    yield from _title("Last failures")
    if not report.failures:
        yield Line("  none")
    for one in reversed(report.failures[-_FAILURES:]):
        when = time.strftime("%H:%M:%S", time.localtime(one.at))
        yield Line(
            f"  {when}  {one.status}  {plain(one.model) or '-'}  {plain(one.code)}  {plain(one.error)}"
        )


def _ledger(report: Report) -> Iterator[Line]:
    yield from _title("Ledger")
    if report.ledger is None:
        yield Line("  switched off")
        return
    written, waiting, lost = (report.ledger.get(name, 0) for name in ("written", "waiting", "lost"))
    text = f"  {written} written since the start, {waiting} waiting, {lost} lost"
    away = report.ledger.get("away")
    if away:
        text += f"; the database is away: {plain(str(away))}"
    yield Line(text, "red" if lost else "yellow" if away else "")


def _title(text: str) -> Iterator[Line]:
    yield Line()
    yield Line(text, bold=True)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[Line]:
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield Line(f"  {padded.rstrip()}")


def brief(seconds: float) -> str:
    """Return a length of time in its largest unit: "45 s", "12 min", "3 h", "2 d"."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: int | None) -> str:
    """Return a number of bytes in a unit that fits, in powers of 1,024; a dash if it is not known."""
    if count is None:
        return "-"
    number, unit = float(count), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.0f} {_UNITS[unit]}"


def _bar_width(width: int) -> int:
    return max(_NARROWEST_BAR, min(_WIDEST_BAR, width - _BESIDE_BAR))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"
