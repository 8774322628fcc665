"""What backends over HTTP are built from: the client, its settings, secrets, and the errors of APIs.

httpx talks to them, over aiohttp's connections (``pool``) or, for the environment's proxies and HTTP/2, over
its own. It is imported when the first such backend is started.
"""

from claude_max_proxy.http_upstream.backend import HttpBackend
from claude_max_proxy.http_upstream.client import HttpUpstream
from claude_max_proxy.http_upstream.failures import upstream_error
from claude_max_proxy.http_upstream.settings import HttpSettings, ModelFacts
from claude_max_proxy.secret import Secret, resolve_secret


__all__ = [
    "HttpBackend",
    "HttpSettings",
    "HttpUpstream",
    "ModelFacts",
    "Secret",
    "resolve_secret",
    "upstream_error",
]
