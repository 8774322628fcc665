"""A local endpoint for OpenAI's and Anthropic's APIs that drives the real Claude Code CLI with your login.

What plugins build on is public. The names that hooks need are exported here. The others are in these modules:

- :mod:`claude_max_proxy.backend`: the base class of backends, and what one says of its models;
- :mod:`claude_max_proxy.dialect`: the base class of dialects, and what one is made of;
- :mod:`claude_max_proxy.errors`: every error that a request can end in;
- :mod:`claude_max_proxy.events`: the events of an answer, and their sum;
- :mod:`claude_max_proxy.facts.plan_windows`: how much of a provider's plan is used, and the pace;
- :mod:`claude_max_proxy.facts.processes`: what can be seen of a process that a backend runs;
- :mod:`claude_max_proxy.facts.replicas`: the replicas of the proxy that are alive;
- :mod:`claude_max_proxy.facts.spending`: what all replicas of the proxy use;
- :mod:`claude_max_proxy.vault`: a place for what a dialect keeps for the clients of all replicas;
- :mod:`claude_max_proxy.facts.budgets`: what is used of each budget;
- :mod:`claude_max_proxy.facts.inspection`: what was said in the last requests, while somebody inspects them;
- :mod:`claude_max_proxy.context`: what a plugin may see of the running proxy;
- :mod:`claude_max_proxy.route`: routes that a plugin answers itself;
- :mod:`claude_max_proxy.request_id`: the id of the request that is being served;
- :mod:`claude_max_proxy.capabilities`: what only some backends honour, and what providers refuse;
- :mod:`claude_max_proxy.formats`: what dialects share;
- :mod:`claude_max_proxy.http_upstream`: what backends over HTTP share;
- :mod:`claude_max_proxy.ledger`: one row for each finished request, and sums over them;
- :mod:`claude_max_proxy.anthropic_messages`: the vocabulary of Anthropic's Messages API;
- :mod:`claude_max_proxy.testing`: a scripted provider, and the conformance suite.

The built-in dialects, backends and observers use nothing else.
"""

from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.check import Check, Finding
from claude_max_proxy.concurrency.aside import aside, is_large
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.config import ApiKey, Config, Meta, ModelEntry, Settings, near_miss, quoted
from claude_max_proxy.config.secret import Secret, find_secrets, resolve_secret
from claude_max_proxy.context import Context
from claude_max_proxy.errors import (
    ClientError,
    ConfigError,
    Forbidden,
    InvalidRequest,
    NotFound,
    ProxyError,
    RateLimited,
    UsageLimitReached,
)
from claude_max_proxy.events import (
    Event,
    Events,
    Failed,
    Finished,
    FinishReason,
    Folding,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Reply,
    Started,
    Usage,
    collect,
    complete_part,
    fold,
)
from claude_max_proxy.facts.plan_windows import PlanWindow
from claude_max_proxy.facts.processes import ProcessFacts
from claude_max_proxy.hookspecs import (
    RegisterBackend,
    RegisterCheck,
    RegisterDialect,
    RegisterRoute,
    hookimpl,
)
from claude_max_proxy.record import Record
from claude_max_proxy.request import (
    Agent,
    Audio,
    Client,
    Effort,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Request,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.route import Call, Response, Route


__version__ = "0.1.0"

__all__ = [
    "Agent",
    "ApiKey",
    "Audio",
    "Backend",
    "Call",
    "Check",
    "Client",
    "ClientError",
    "Config",
    "ConfigError",
    "Context",
    "Effort",
    "Event",
    "Events",
    "Failed",
    "File",
    "Finding",
    "FinishReason",
    "Finished",
    "Folding",
    "Forbidden",
    "Image",
    "InvalidRequest",
    "Message",
    "Meta",
    "ModelEntry",
    "NotFound",
    "Part",
    "PartDelta",
    "PartEnded",
    "PartKind",
    "PartStarted",
    "PlanWindow",
    "ProcessFacts",
    "ProxyError",
    "RateLimited",
    "Reasoning",
    "Record",
    "RegisterBackend",
    "RegisterCheck",
    "RegisterDialect",
    "RegisterRoute",
    "Reply",
    "Request",
    "Response",
    "ResponseFormat",
    "Role",
    "Route",
    "Secret",
    "Settings",
    "Started",
    "Target",
    "Tasks",
    "Text",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "UsageLimitReached",
    "__version__",
    "aside",
    "collect",
    "complete_part",
    "find_secrets",
    "fold",
    "hookimpl",
    "is_large",
    "near_miss",
    "quoted",
    "resolve_secret",
]
