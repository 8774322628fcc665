"""The errors that a request can end in, and whose fault each of them is.

::

    ProxyError
    ├── ClientError                 the client's fault                     4xx
    │   ├── InvalidRequest          a field is missing, wrong or refused   400
    │   ├── ContextLengthExceeded   more input than the model accepts      400
    │   ├── InvalidKey              no API key, or an unknown one          401
    │   ├── Forbidden               a Host or Origin we do not serve       403
    │   ├── NotFound                no such route or model                 404
    │   ├── MethodNotAllowed        a route, but not with this method      405
    │   ├── RequestTimeout          the request came too slowly            408
    │   ├── BodyTooLarge            more bytes than [server] allows        413
    │   ├── TargetTooLong           a path and query that are too long     414
    │   ├── UnsupportedMediaType    a body that is not JSON                415
    │   ├── TooManyRequests         more requests than the key may send    429
    │   ├── BudgetSpent             more than a budget allows              429
    │   └── HeadersTooLarge         headers that are too large             431
    ├── UpstreamError               the provider's fault, or the network's
    │   ├── UpstreamRefused         it found the request wrong             400
    │   ├── NotLoggedIn             no login, or one it does not accept    401
    │   ├── UsageLimitReached       the plan's usage limit is reached      429
    │   ├── RateLimited             too many requests for now              429
    │   ├── UpstreamFailed          it failed, or the connection did       502
    │   ├── ToolNotCalled           its model left out a demanded call     502
    │   ├── Overloaded              it has no capacity for now             503
    │   └── UpstreamTimeout         it was silent for too long             504
    └── ProxyFault                  the proxy's fault
        ├── Busy                    the queue is full                      429
        ├── BackendUnavailable      the backend cannot run at all          503
        ├── Unreachable             what replicas share is out of reach    503
        ├── Stopping                the proxy is stopping                  503
        └── InternalError           a bug                                  500

``ConfigError`` is separate: it is about ``proxy.toml`` or a plugin, never about a request. A message says
what is wrong, where, and what to do; it starts with a lower-case letter unless it quotes the provider.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self


__all__ = [
    "BackendUnavailable",
    "BodyTooLarge",
    "BudgetSpent",
    "Busy",
    "ClientError",
    "ConfigError",
    "ContextLengthExceeded",
    "Fault",
    "Forbidden",
    "HeadersTooLarge",
    "InternalError",
    "InvalidKey",
    "InvalidRequest",
    "MethodNotAllowed",
    "NotFound",
    "NotLoggedIn",
    "Overloaded",
    "ProxyError",
    "ProxyFault",
    "RateLimited",
    "RequestTimeout",
    "Stopping",
    "TargetTooLong",
    "TooManyRequests",
    "ToolNotCalled",
    "Unreachable",
    "UnsupportedMediaType",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UsageLimitReached",
]


Fault = Literal["client", "upstream", "proxy"]
_MOST_TOLD = 50


class ProxyError(Exception):
    """The failure of one request.

    - ``message``: what is wrong, for the client.
    - ``param``: the path of the wrong field, such as ``messages[2].content``.
    - ``retry_after``: after how many whole seconds another try makes sense.
    - ``status``, ``code``, ``type``: the HTTP status, and what an OpenAI client gets with the message.
    - ``falls_back``: whether another model might do what this one could not.
    - ``passes``: whether the same request may succeed soon.
    - ``logged``: what the log, ``/health`` and observers may contain of it. This is the message, unless that
      quotes the provider or the client, since a quotation may be confidential.
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
        logged: str | None = None,
    ) -> None:
        """Describe the failure by a ``message``; the class says whose fault it is."""
        super().__init__(message)
        self.message = message
        self.logged = message if logged is None else logged
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code


class ClientError(ProxyError):
    """The client asked for something that is wrong or not allowed."""

    fault = "client"
    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class InvalidRequest(ClientError):
    """A field is missing, of the wrong type, out of range, or cannot be honoured."""

    @classmethod
    def at(cls, path: str, problem: str, *, code: str | None = None, logged: str | None = None) -> Self:
        """Return the error for the field at ``path``, which becomes its ``param``, with this ``problem``."""
        return cls(f"{path}: {problem}", param=path, code=code, logged=logged)

    @classmethod
    def missing(cls, path: str) -> Self:
        """Return the error for a field that has to be at ``path`` and is not."""
        return cls(f"{path} is missing", param=path)


class ContextLengthExceeded(ClientError):
    """The input is longer than the model's context window."""

    falls_back = True
    code = "context_length_exceeded"


class InvalidKey(ClientError):
    """The request has no API key, or one that this proxy does not know."""

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


class RequestTimeout(ClientError):
    """The request's headers or body took longer to arrive than ``[server]`` allows."""

    status = 408
    code = "request_timeout"


class BodyTooLarge(ClientError):
    """The request's body is larger than ``[server] max_body_bytes``."""

    status = 413
    code = "body_too_large"


class TargetTooLong(ClientError):
    """The request's path and query are longer than 8,192 bytes."""

    status = 414
    code = "target_too_long"


class UnsupportedMediaType(ClientError):
    """The request's body is not declared as JSON."""

    status = 415
    code = "unsupported_media_type"


class TooManyRequests(ClientError):
    """The client sends more requests per minute than its API key allows."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class BudgetSpent(ClientError):
    """A budget of ``[plugins.budgets]`` is used up; ``retry_after`` is the time until it begins again."""

    passes = False
    status = 429
    code = "budget_spent"
    type = "usage_limit_reached"  # Codex gives up at once when it sees this type


class HeadersTooLarge(ClientError):
    """The request has more than 200 headers, or more than 64 kB of them; trailers count too."""

    status = 431
    code = "headers_too_large"


class UpstreamError(ProxyError):
    """The provider failed or refused, or could not be reached."""

    fault = "upstream"
    status = 502
    code = "upstream_error"
    type = "upstream_error"


class UpstreamRefused(UpstreamError):
    """The provider understood the request, and refused it as wrong."""

    status = 400
    code = "upstream_refused"
    type = "invalid_request_error"


class NotLoggedIn(UpstreamError):
    """The backend has no login, or one that the provider does not accept."""

    status = 401
    code = "not_logged_in"
    type = "authentication_error"


class UsageLimitReached(UpstreamError):
    """The plan's usage limit is reached; ``retry_after`` is the time until its reset, if that is known."""

    falls_back = True
    passes = False
    status = 429
    code = "usage_limit_reached"
    # Codex gives up at once when it sees this type; with any other, it waits for as long as it is told to.
    type = "usage_limit_reached"


class RateLimited(UpstreamError):
    """The provider asks for fewer requests for a while."""

    falls_back = True
    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class UpstreamFailed(UpstreamError):
    """The provider failed, or the connection to it broke."""

    falls_back = True


class ToolNotCalled(UpstreamError):
    """The client insists on a tool call, the model could not be forced to make it, and did not make it."""

    falls_back = True
    code = "tool_not_called"


class Overloaded(UpstreamError):
    """The provider has no capacity at the moment."""

    falls_back = True
    status = 503
    code = "overloaded"


class UpstreamTimeout(UpstreamError):
    """The provider sent nothing for longer than the backend's time limit."""

    falls_back = True
    status = 504
    code = "upstream_timeout"


class ProxyFault(ProxyError):
    """The proxy itself could not do what it was asked to do."""


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


class Unreachable(ProxyFault):
    """What all replicas of the proxy share cannot be reached at the moment, and the request needs it."""

    status = 503
    code = "shared_unreachable"


class Stopping(ProxyFault):
    """The proxy was told to stop, and no longer waits for the end of the answer."""

    status = 503
    code = "proxy_stopping"


class InternalError(ProxyFault):
    """A bug in the proxy or in a plugin; the log has the details."""


class ConfigError(Exception):
    """``proxy.toml`` or a plugin cannot be used; each message says which setting is wrong and what to do.

    ``messages`` are all of them, and ``told`` those that a person may read, with the number of the others.
    ``rest`` is what could be read of the configuration all the same. It is only there to look for further
    mistakes in it, and must not be used.
    """

    def __init__(self, *messages: str, rest: object = None) -> None:
        """Say what is wrong, with a message for each mistake."""
        self.messages = messages
        self.rest = rest
        further = len(messages) - _MOST_TOLD
        self.told = (*messages[:_MOST_TOLD], *([f"… and {further} more mistakes"] if further > 0 else []))
        super().__init__("\n".join(self.told))
