"""Where traces and metrics are sent, and which of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Target(msgspec.Struct, frozen=True):
    """Where to send what: the collector, the share of traces, and the providers by the backends' names."""

    endpoint: str
    headers: Mapping[str, str]
    service_name: str
    version: str
    replica: str
    sample: float
    providers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Target({self.endpoint!r})"  # a header may be a secret
