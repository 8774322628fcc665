"""``[plugins.traces]``: traces and metrics for OpenTelemetry, a built-in plugin that is off until configured.

- ``names`` has the names of OpenTelemetry that are used.
- ``spans`` and ``measures`` make traces and metrics from the record of a request.
- ``sender`` is the thread that does this, and ``sending`` what it does with OpenTelemetry's library.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from claude_max_proxy import (
    Config,
    ConfigError,
    Record,
    RegisterRoute,
    __version__,
    hookimpl,
    quoted,
    resolve_secret,
)
from claude_max_proxy import Settings as BaseSettings
from claude_max_proxy.observers.traces import names
from claude_max_proxy.observers.traces.sender import Sender
from claude_max_proxy.observers.traces.target import Target


_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_senders: list[Sender] = []  # the one that is in use, if any


class Settings(BaseSettings, frozen=True):
    """Where traces and metrics go by OpenTelemetry's protocol, OTLP over HTTP."""

    endpoint: Annotated[
        str,
        Meta(
            description="The base URL of a collector, as in `http://127.0.0.1:4318`; `/v1/traces` and "
            "`/v1/metrics` are added to it. Empty means that nothing is sent. It needs the extra `otel`: "
            "`pip install 'claude-max-proxy[otel]'`."
        ),
    ] = ""
    headers: Annotated[
        dict[str, str],
        Meta(
            description='Headers that are sent to the collector. Instead of the value itself, `"env:NAME"` '
            'names an environment variable and `"file:PATH"` a file that holds it.'
        ),
    ] = {}
    service_name: Annotated[
        str, Meta(min_length=1, description="The name of this proxy among everything else that is traced.")
    ] = "claude-max-proxy"
    sample: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The share of requests that are traced, from 0 to 1. If a client's own trace is "
            "sampled, its requests are traced in any case, and if it is not, they are not.",
        ),
    ] = 1.0


@hookimpl
def register_routes(register: RegisterRoute, settings: Settings) -> None:  # noqa: ARG001  # only checks
    """Check the settings before the configuration comes into force; there are no routes."""
    if not settings.endpoint:
        return
    path = "plugins.traces.endpoint"
    url = urlsplit(settings.endpoint)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ConfigError(f'{path}: it must be a URL, as in "http://127.0.0.1:4318"')
    if url.username is not None or url.query or url.fragment:
        raise ConfigError(f"{path}: it must have neither a password nor a query; use headers for secrets")
    if not all(map(_is_installed, _NEEDED)):
        raise ConfigError(
            f"{path}: traces need the packages of the extra otel: pip install 'claude-max-proxy[otel]'"
        )
    _headers(settings)


@hookimpl
async def configured(new: Config, settings: Settings) -> None:
    """Send to the collector of this configuration from now on; the same one is kept."""
    target = _target(new, settings) if settings.endpoint else None
    if _senders and _senders[0].target == target:
        return
    before, _senders[:] = list(_senders), [Sender(target)] if target else []
    await _stop(before)


@hookimpl
def log_request(record: Record) -> None:
    """Let the sender's thread trace a finished request."""
    for sender in _senders:
        sender.add(record)


@hookimpl
async def shutdown() -> None:
    """Send what is left."""
    before, _senders[:] = list(_senders), []
    await _stop(before)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it is in does not exist
        return False


async def _stop(senders: list[Sender]) -> None:
    for sender in senders:
        await asyncio.to_thread(sender.stop)


def _target(config: Config, settings: Settings) -> Target:
    types = {name: str(table.get("type", "")) for name, table in config.backends.items()}
    return Target(
        endpoint=settings.endpoint.rstrip("/"),
        headers=_headers(settings),
        service_name=settings.service_name,
        version=__version__,
        replica=config.server.replica,
        sample=settings.sample,
        providers={name: names.provider(type_) for name, type_ in types.items()},
    )


def _headers(settings: Settings) -> dict[str, str]:
    """Return the headers with their secrets; raise :class:`ConfigError` for one that is not to be found."""
    table = "plugins.traces.headers"
    return {
        name: resolve_secret(text, f"{table}.{quoted(name)}").reveal()
        for name, text in settings.headers.items()
    }
