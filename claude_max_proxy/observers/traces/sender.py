"""Sends traces and metrics to a collector by OTLP, on a thread of its own behind a bounded queue.

All of OpenTelemetry's library is imported and used there only. So what a request pays is to be put into the
queue, whether the collector is there or not.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from claude_max_proxy import Record
from claude_max_proxy.observers.traces.target import Target


if TYPE_CHECKING:
    from claude_max_proxy.observers.traces.sending import Sending


_MOST = 4096  # records that wait
_BATCH = 512
_PAUSE = 2.0  # seconds in which records are collected before they are sent together
_MEASURED = 30.0  # seconds between two sendings of the metrics
_PATIENCE = 3.0  # seconds in which what is left may be sent at the end


class Sender:
    """Sends what it is given until it is stopped."""

    def __init__(self, target: Target) -> None:
        """Start the thread."""
        self.target = target
        self.lost = 0
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._sending: Sending | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, record: Record) -> None:
        """Let the thread send a request; if too many are waiting, this one is lost."""
        if self._records.qsize() < _MOST:
            self._records.put(record)
        else:
            self.lost += 1

    def stop(self) -> None:
        """Send what is left, and end the thread; if that takes too long, what is left is lost."""
        self._records.put(None)
        self._thread.join(_PATIENCE)
        self._given_up = True
        if self._sending is not None:
            self._sending.give_up()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        from claude_max_proxy.observers.traces.sending import Sending

        self._sending = sending = Sending(self.target)
        measure_at, ended = time.monotonic() + _MEASURED, False
        while not ended and not self._given_up:
            records, ended = self._collected(measure_at)
            sending.send(records)
            if ended or time.monotonic() >= measure_at:
                measure_at = time.monotonic() + _MEASURED
                sending.measure()
        sending.close()

    def _collected(self, until: float) -> tuple[list[Record], bool]:
        """Wait for a record, and return it with those that come soon after; also whether it is the end.

        Without any record, this returns at the time ``until``.
        """
        records: list[Record] = []
        while len(records) < _BATCH:
            try:
                record = self._records.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                return records, False
            if record is None:
                return records, True
            if not records:
                until = min(until, time.monotonic() + _PAUSE)
            records.append(record)
        return records, False
