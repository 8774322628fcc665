"""Keeps the record of one request while its events pass."""

from __future__ import annotations

import time

import msgspec

from claude_max_proxy.backend import Target
from claude_max_proxy.errors import ProxyError
from claude_max_proxy.events import Event, Failed, Finished, PartDelta, PartStarted, Started, Usage
from claude_max_proxy.gateway.underway import Underway
from claude_max_proxy.record import CLIENT_LEFT, Record
from claude_max_proxy.request import Request


class Watch:
    """Fills in one request's record while its events pass."""

    def __init__(self, request: Request, dialect: str, underway: Underway, replica: str = "") -> None:
        """Begin the record of a request that came in ``dialect``, as one whose client has left.

        ``replica`` is the name of this proxy.
        """
        self.record = Record(
            request.model,
            dialect=dialect,
            client=msgspec.structs.replace(request.client, identity=""),  # observers may store the record
            status=CLIENT_LEFT,
            stream=request.stream,
            id=request.id,
            path=request.path,
            traceparent=request.traceparent,
            replica=replica,
        )
        self.ended = False
        self._spoken = False
        self._last = 0.0
        # The body has been read since the request arrived, which may have taken long.
        self._began = request.arrived or time.monotonic()
        self.record.began = time.time() - (time.monotonic() - self._began)
        self._underway = underway
        request.recorded = True
        underway.add(self.record, self._began)

    def asks(self, target: Target) -> None:
        """Record which target is asked now."""
        self.record.backend, self.record.upstream_model = target.backend, target.model

    def see(self, event: Event) -> None:
        """Record one event; deltas are frequent, so they cost no more than a look at the clock."""
        match event:
            case PartDelta():
                self.heard()
                self.record.pieces += 1
            case PartStarted():
                self.heard()
            case Started():
                self.record.live, self.record.queued = event.live, event.queued
                self.record.replayed, self.record.answered_by = event.replayed, event.model
                self._spoken = self.record.stream
            case Usage():
                self.record.usage = event
            case Finished():
                self.record.status, self.record.finish, self.record.ending = 200, event.reason, "completed"
                self.ended = True
            case Failed():
                self.fail(event.error)
            case _:
                pass

    def heard(self) -> None:
        """Record the time of the answer's latest word, and of its first."""
        self._last = time.monotonic()
        if self.record.first_token is None:
            self.record.first_token = self._last - self._began

    def complete(self) -> None:
        """Record that an answer without events is complete."""
        self.record.status, self.record.ending = 200, "completed"
        self.ended = True

    def fail(self, error: ProxyError) -> Failed:
        """Record a failure, and return its event."""
        record = self.record
        record.status, record.error, record.code = error.status, error.logged, error.code or ""
        record.ending = "broken" if self._spoken else "refused"
        self.ended = True
        return Failed(error)

    def close(self) -> Record:
        """Return the finished record."""
        record = self.record
        self._underway.remove(record)
        record.total = time.monotonic() - self._began
        if self._last:
            record.last_token = self._last - self._began
        if not self.ended:
            record.ending = "left"
        return record
