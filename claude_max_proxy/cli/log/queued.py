"""Lets a thread write the log, so that a slow terminal, pipe or disk holds nothing up.

A record is formatted where it is logged, since what it refers to may change later and since only there it is
known which request it belongs to. The thread writes the lines, many at once: waking it for each line would
cost more than all else that a line takes.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterable, Iterator


_MOST = 4096  # lines that wait to be written
_PATIENCE = 1.0  # seconds in which waiting lines may be written when the log is flushed or closed
_GATHERED = 0.03  # seconds in which lines gather; a person at a terminal does not notice them
AT_ONCE = 4000  # characters in one write, so that a pipe takes it as a whole

Item = tuple[int, str] | threading.Event | None


class QueuedHandler(logging.Handler):
    """Formats records, and passes the lines to a thread that writes them by another handler.

    Lines gather for a moment and are then written together, at most ``at_once`` characters in one write. A
    warning and what is more important is written at once, with all that came before it. If more than ``most``
    lines wait, further ones are dropped, and a line says how many were.
    """

    def __init__(self, writer: logging.Handler, most: int = _MOST, at_once: int = AT_ONCE) -> None:
        """Write by ``writer``, whose formatter becomes this handler's."""
        super().__init__()
        self.setFormatter(writer.formatter)
        writer.setFormatter(None)  # the lines are formatted already
        self._writer = writer
        self._most = most
        self._at_once = at_once
        self._lost = 0
        self._taken = 0  # lines that the thread has taken and not written yet; only it changes this
        # Unlike `queue.Queue`, this one may be used by a signal's handler that interrupts its use.
        self._lines: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._hurry: queue.SimpleQueue[None] = queue.SimpleQueue()  # what must not wait for more lines
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Let the thread write a record."""
        waiting = self._lines.qsize() + self._taken
        if waiting >= self._most:
            self._lost += 1
            return
        try:
            line = (record.levelno, self.format(record))
        except Exception:  # a plugin's record that cannot be formatted
            self.handleError(record)
            return
        self._put(line, now=record.levelno >= logging.WARNING or waiting == self._most // 4)

    def flush(self) -> None:
        """Wait, though not for long, until what was logged so far is written."""
        written = threading.Event()
        if self._thread.is_alive():
            self._put(written, now=True)
            written.wait(_PATIENCE)

    def close(self) -> None:
        """Write what is waiting, and end the thread; if it does not end soon, it is left behind."""
        self._put(None, now=True)
        self._thread.join(_PATIENCE)
        super().close()

    def _put(self, item: Item, *, now: bool) -> None:
        self._lines.put(item)
        if now:
            self._hurry.put(None)

    # --- on the thread

    def _write(self) -> None:
        items: list[Item] = []
        while None not in items:
            items = self._gathered()
            lines: list[tuple[int, str]] = []
            for item in items:
                if isinstance(item, tuple):
                    lines.append(item)
                elif item is not None:
                    self._write_lines(lines)
                    lines = []
                    with contextlib.suppress(OSError, ValueError):  # a full disk, or a stream that is closed
                        self._writer.flush()
                    item.set()
            self._write_lines(lines)
            self._taken = 0
        with contextlib.suppress(OSError, ValueError):
            self._writer.close()

    def _gathered(self) -> list[Item]:
        """Wait for something to do, and return it with what comes in the next moment."""
        items = [self._lines.get()]
        self._taken = 1
        with contextlib.suppress(queue.Empty):
            self._hurry.get(timeout=_GATHERED)
            while True:  # what is in a hurry was put down before it was said
                self._hurry.get_nowait()
        with contextlib.suppress(queue.Empty):
            while items[-1] is not None and self._taken < self._most:
                self._taken += 1
                items.append(self._lines.get_nowait())
        return items

    def _write_lines(self, lines: Iterable[tuple[int, str]]) -> None:
        for record in _joined(lines, self._at_once):
            self._writer.handle(record)
        if self._lost and self._lines.qsize() < self._most // 2:
            lost, self._lost = self._lost, 0
            told = _record(
                logging.WARNING, f"{lost} lines of the log were dropped, since it is written slowly"
            )
            self._writer.handle(_record(logging.WARNING, self.format(told)))


def _joined(lines: Iterable[tuple[int, str]], at_once: int) -> Iterator[logging.LogRecord]:
    """Join lines to records of at most this many characters, though each has at least one line."""
    joined: list[str] = []
    size = level = 0
    for its_level, line in lines:
        if joined and size + len(line) > at_once:
            yield _record(level, "\n".join(joined))
            joined, size, level = [], 0, 0
        joined.append(line)
        size += len(line) + 1
        level = max(level, its_level)
    if joined:
        yield _record(level, "\n".join(joined))


def _record(level: int, line: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, level, "", 0, line, None, None)
