"""``[server]``: where the proxy listens, who may use it, and how long it waits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from claude_max_proxy.config.replica import PATTERN
from claude_max_proxy.config.settings import Count, Seconds, Settings


class ApiKey(Settings, frozen=True):
    """The long form of a key in ``[server] api_keys``, which limits what the key may do."""

    key: Annotated[
        str,
        Meta(
            min_length=1,
            description='The key itself, or where to find it: `"env:NAME"` names an environment variable, '
            '`"file:PATH"` a file.',
        ),
    ]
    models: Annotated[
        list[str],
        Meta(
            description="The model names that this key may ask for; a `*` in a name matches any text. Empty "
            "allows all models."
        ),
    ] = []
    admin: Annotated[
        bool,
        Meta(
            description="Whether this key may also see what concerns everybody: the page, the metrics and "
            "the state of the proxy."
        ),
    ] = False
    requests_per_minute: Annotated[
        Count | None,
        Meta(
            description="How many requests a minute this key may make. Any further request gets a 429 with "
            "`Retry-After`. Without it there is no limit."
        ),
    ] = None


class ServerConfig(Settings, frozen=True):
    """Where the proxy listens, who may use it, and how long it waits for its clients."""

    host: Annotated[
        str,
        Meta(
            description="The address to listen on. The default is reachable from this machine only; any "
            "address that other machines can reach needs `api_keys`."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The port to listen on. `0` takes any free port.")
    ] = 3456
    unix_socket: Annotated[
        str,
        Meta(
            description="The path of a Unix socket to listen on instead of a port. Only your own user can "
            "connect to it. Empty means that `host` and `port` are used."
        ),
    ] = ""
    tls_certificate: Annotated[
        str,
        Meta(
            description="A PEM file with the server's certificate. Together with `tls_key` it makes the "
            "proxy speak https; empty means plain http."
        ),
    ] = ""
    tls_key: Annotated[
        str,
        Meta(
            description="A PEM file with the certificate's private key, which nobody but you may be able to "
            "read. It is needed if `tls_certificate` is set, and only then."
        ),
    ] = ""
    api_keys: Annotated[
        dict[str, Annotated[str, Meta(min_length=1)] | ApiKey],
        Meta(
            description="Who may use the proxy: a name for each client, which the log shows, and the "
            'client\'s key, as in `{ alice = "a long random text" }`. Instead of the key itself, '
            '`"env:NAME"` names an environment variable and `"file:PATH"` a file that holds it. A table '
            "limits what a key may do, as in "
            '`{ bob = { key = "env:BOBS_KEY", models = ["gpt-*"], requests_per_minute = 60 } }`. Empty '
            "means that nobody is asked for a key."
        ),
    ] = {}
    replica: Annotated[
        str,
        Meta(
            pattern=PATTERN,
            description="The name of this proxy among several behind a load balancer: at most 64 letters, "
            "digits, `.`, `_` and `-`. Every answer has it in the header `x-proxy-replica`, and the log, the "
            "ledger, the metrics and traces have it, too. Empty means the host name if there is a "
            "`[shared] url`, and otherwise none.",
        ),
    ] = ""
    allowed_hosts: Annotated[
        list[str],
        Meta(
            description="Further host names, without ports, that requests may be addressed to. `localhost` "
            "and plain addresses are always allowed. Behind a reverse proxy, put its name here."
        ),
    ] = []
    allowed_origins: Annotated[
        list[str],
        Meta(
            description='The web pages that may use the proxy, as in `["https://app.example"]`. They get '
            "CORS headers; requests from all other pages are refused."
        ),
    ] = []
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="The reverse proxies whose `X-Forwarded-For` is believed: addresses, networks such "
            'as `"10.0.0.0/8"`, and `"unix"` for everything that comes through `unix_socket`.'
        ),
    ] = []
    max_body_bytes: Annotated[
        Count, Meta(description="The largest request body that is accepted, in bytes.")
    ] = 100_000_000
    header_timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds a client may take to send a request's headers or to finish its "
            "part of the TLS handshake, and how long a new connection may stay silent."
        ),
    ] = 10.0
    body_timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds a request's body may be too slow: within this time it must grow by "
            "1,000 bytes for each second, or be complete."
        ),
    ] = 30.0
    write_timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds a client may read nothing of its answer before the proxy closes "
            "the connection."
        ),
    ] = 120.0
    keep_alive: Annotated[
        Seconds,
        Meta(
            description="How many seconds a streamed answer may be silent before the proxy sends an empty "
            "chunk, so that neither the client nor a reverse proxy gives up."
        ),
    ] = 10.0
    hold: Annotated[
        Seconds,
        Meta(
            description="How many seconds the proxy holds back an answer's headers while it waits for the "
            "first event. A failure within this time still gets an HTTP status of its own."
        ),
    ] = 60.0
    drain_notice: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="How many seconds the proxy goes on as usual when it is told to stop, while "
            "`/health/ready` says 503. A load balancer needs this time to notice.",
        ),
    ] = 0.0
    drain_timeout: Annotated[
        Seconds,
        Meta(description="How many seconds running answers may go on when the proxy is told to stop."),
    ] = 30.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(
            description="The least important lines that are logged. `info` has one for each request; with "
            "`warning`, only requests that failed have one. `serve --log-level` takes precedence."
        ),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"],
        Meta(
            description="The form of the log's lines: `text` for people, or `json` for programs, with one "
            "object on each line. `serve --log-format` takes precedence."
        ),
    ] = "text"
    log_file: Annotated[
        str,
        Meta(
            description="A file that the log is written to, too. Empty means that there is none. "
            "`serve --log-file` takes precedence."
        ),
    ] = ""
    log_file_bytes: Annotated[
        Count,
        Meta(description="The size in bytes at which the log's file is put aside and a new one is begun."),
    ] = 5_000_000
    log_files: Annotated[
        int,
        Meta(
            ge=2,
            description="How many files the log may have: the one that is written, and those that were put "
            "aside, as `NAME.1`, `NAME.2` and so on.",
        ),
    ] = 2
