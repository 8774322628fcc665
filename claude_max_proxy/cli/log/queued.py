"""Lets a thread write the log, so that a slow terminal, pipe or disk holds nothing up.

A record is formatted where it is logged, since what it refers to may change later and since only there it is
known which request it belongs to. The thread writes the lines.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading


_MOST = 4096  # lines that wait to be written
_PATIENCE = 1.0  # seconds in which waiting lines may be written when the log is flushed or closed


class QueuedHandler(logging.Handler):
    """Formats records, and passes the lines to a thread that writes them by another handler.

    If more than ``most`` lines wait, further ones are dropped, and a line says how many were.
    """

    def __init__(self, writer: logging.Handler, most: int = _MOST) -> None:
        """Write by ``writer``, whose formatter becomes this handler's."""
        super().__init__()
        self.setFormatter(writer.formatter)
        writer.setFormatter(None)  # the lines are formatted already
        self._writer = writer
        self._most = most
        self._lost = 0
        # Unlike `queue.Queue`, this one may be used by a signal's handler that interrupts its use.
        self._lines: queue.SimpleQueue[tuple[int, str] | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Let the thread write a record."""
        if self._lines.qsize() >= self._most:
            self._lost += 1
            return
        try:
            self._lines.put((record.levelno, self.format(record)))
        except Exception:  # a plugin's record that cannot be formatted
            self.handleError(record)

    def flush(self) -> None:
        """Wait, though not for long, until what was logged so far is written."""
        written = threading.Event()
        if self._thread.is_alive():
            self._lines.put(written)
            written.wait(_PATIENCE)

    def close(self) -> None:
        """Write what is waiting, and end the thread; if it does not end soon, it is left behind."""
        self._lines.put(None)
        self._thread.join(_PATIENCE)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if isinstance(line, threading.Event):
                with contextlib.suppress(OSError, ValueError):  # a full disk, or a stream that is closed
                    self._writer.flush()
                line.set()
                continue
            self._writer.handle(_record(*line))
            if self._lost and self._lines.qsize() < self._most // 2:
                lost, self._lost = self._lost, 0
                told = _record(
                    logging.WARNING, f"{lost} lines of the log were dropped, since it is written slowly"
                )
                self._writer.handle(_record(logging.WARNING, self.format(told)))
        with contextlib.suppress(OSError, ValueError):
            self._writer.close()


def _record(level: int, line: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, level, "", 0, line, None, None)
