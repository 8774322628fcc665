"""What backends over HTTP are built from: the client, its settings, secrets, and the errors of APIs.

httpx sends the requests, usually over aiohttp's connections (``pool``). For a proxy that the environment
names and for HTTP/2 it uses its own connections. It is only imported when the first such backend is started.
"""

from claude_max_proxy.http_upstream.backend import HttpBackend
from claude_max_proxy.http_upstream.client import HttpUpstream
from claude_max_proxy.http_upstream.failures import upstream_error
from claude_max_proxy.http_upstream.settings import HttpSettings, ModelFacts


__all__ = [
    "HttpBackend",
    "HttpSettings",
    "HttpUpstream",
    "ModelFacts",
    "upstream_error",
]
