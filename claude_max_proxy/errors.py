"""Everything that can go wrong with a request, and whose fault it is.

::

    ProxyError
    ├── ClientError                 the client's fault                     4xx
    │   ├── InvalidRequest          a field is missing, wrong or refused   400
    │   │   └── BeyondModel         this model cannot, another might       400
    │   ├── ContextLengthExceeded   more input than the model takes        400
    │   ├── InvalidKey              no key, or not one of ours             401
    │   ├── Forbidden               a Host or Origin we do not serve       403
    │   ├── NotFound                no such route or model                 404
    │   ├── MethodNotAllowed        a route, but not with this method      405
    │   ├── BodyTooLarge            more bytes than [server] allows        413
    │   ├── UnsupportedMediaType    a body that is not JSON                415
    │   └── TooManyRequests         more often than the key may            429
    ├── UpstreamError               the provider's, or on the way to it
    │   ├── UpstreamRefused         it found the request wrong             400
    │   ├── NotLoggedIn             nobody, or nobody valid, is logged in  401
    │   ├── UsageLimitReached       the plan's window is used up           429
    │   ├── RateLimited             too many requests for now              429
    │   ├── UpstreamFailed          it failed, or the connection did       502
    │   ├── Overloaded              it has no capacity for now             503
    │   └── UpstreamTimeout         it was silent for too long             504
    └── ProxyFault                  ours
        ├── Busy                    our queue is full                      429
        ├── BackendUnavailable      the backend cannot run at all          503
        └── InternalError           a bug                                  500

``ConfigError`` stands apart: it is about ``proxy.toml`` or a plugin, and never about one request.
A message says what, where and what to do; it starts in lower case unless it quotes the provider.
"""

from __future__ import annotations

from typing import ClassVar, Literal


Fault = Literal["client", "upstream", "proxy"]


class ProxyError(Exception):
    """One request failed.

    ``param`` is the path of the offending field (``messages[2].content``), ``retry_after`` whole seconds
    until another try makes sense. ``status``, ``code`` and ``type`` are what an OpenAI client sees.
    ``falls_back`` says that another model might do what this one could not, ``passes`` that the same request
    may well succeed soon.
    """

    fault: ClassVar[Fault] = "proxy"
    falls_back: ClassVar[bool] = False
    passes: ClassVar[bool] = True
    status: int = 500
    code: str | None = "internal_error"
    type: str = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Say what happened; the class says whose fault it is."""
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code


class ClientError(ProxyError):
    """The client asked for something wrong or not allowed."""

    fault = "client"
    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class InvalidRequest(ClientError):
    """A field is missing, of the wrong type, out of range, or cannot be honoured."""


class BeyondModel(InvalidRequest):
    """The model cannot do what a field asks, and leaving it out would change the meaning."""

    falls_back = True
    code = "unsupported_parameter"


class ContextLengthExceeded(ClientError):
    """The input is longer than the model's context window."""

    falls_back = True
    code = "context_length_exceeded"


class InvalidKey(ClientError):
    """The request carries no API key, or one that this proxy does not know."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class Forbidden(ClientError):
    """The request's Host or Origin is not one that this proxy serves."""

    status = 403
    code = "forbidden"
    type = "permission_error"


class NotFound(ClientError):
    """There is no such route, or no such model."""

    status = 404
    code = "not_found"
    type = "not_found_error"


class MethodNotAllowed(ClientError):
    """The route exists, but not with this method."""

    status = 405
    code = "method_not_allowed"


class BodyTooLarge(ClientError):
    """The request's body is larger than ``[server] max_body_bytes``."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaType(ClientError):
    """The request's body is not declared as JSON."""

    status = 415
    code = "unsupported_media_type"


class TooManyRequests(ClientError):
    """The client's API key may not ask as often as it does."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class UpstreamError(ProxyError):
    """The provider failed or refused, or could not be reached."""

    fault = "upstream"
    status = 502
    code = "upstream_error"
    type = "upstream_error"


class UpstreamRefused(UpstreamError):
    """The provider understood the request and found it wrong."""

    status = 400
    code = "upstream_refused"
    type = "invalid_request_error"


class NotLoggedIn(UpstreamError):
    """The backend has no login, or one that the provider does not accept."""

    status = 401
    code = "not_logged_in"
    type = "authentication_error"


class UsageLimitReached(UpstreamError):
    """The plan's window is used up; ``retry_after`` is the time to its reset where known."""

    falls_back = True
    passes = False
    status = 429
    code = "usage_limit_reached"
    type = (
        "usage_limit_reached"  # at which Codex gives up at once; else it waits for as long as it is told to
    )


class RateLimited(UpstreamError):
    """The provider asks for fewer requests for a while."""

    falls_back = True
    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class UpstreamFailed(UpstreamError):
    """The provider answered with a fault of its own, or the connection broke."""

    falls_back = True


class Overloaded(UpstreamError):
    """The provider has no capacity at the moment."""

    falls_back = True
    status = 503
    code = "overloaded"


class UpstreamTimeout(UpstreamError):
    """Nothing came from the provider for longer than the backend's limit."""

    falls_back = True
    status = 504
    code = "upstream_timeout"


class ProxyFault(ProxyError):
    """The proxy itself could not do what was asked."""


class Busy(ProxyFault):
    """Every process or connection is in use, and the queue is full or the wait was too long."""

    falls_back = True
    status = 429
    code = "proxy_busy"
    type = "rate_limit_error"


class BackendUnavailable(ProxyFault):
    """The backend cannot run: its program is missing, too old, or does not start."""

    falls_back = True
    status = 503
    code = "backend_unavailable"


class InternalError(ProxyFault):
    """A bug in the proxy or in a plugin; the log has the details."""


class ConfigError(Exception):
    """``proxy.toml`` or a plugin cannot be used; the message names the path and the remedy."""
