"""The names of OpenTelemetry that traces and metrics have here.

They follow the semantic conventions for generative AI, version 0.1.0, which are still in development, and
those for HTTP. What no convention names begins with ``claude_max_proxy``.
"""

from __future__ import annotations


# --- Attributes

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
REQUEST_STREAM = "gen_ai.request.stream"
FINISH_REASONS = "gen_ai.response.finish_reasons"
CONVERSATION = "gen_ai.conversation.id"
INPUT_TOKENS = "gen_ai.usage.input_tokens"  # those of the cache are included
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # no secret
ERROR_TYPE = "error.type"

ROUTE = "http.route"
STATUS = "http.response.status_code"
PROGRAM = "user_agent.original"

REQUEST_ID = "claude_max_proxy.request.id"
DIALECT = "claude_max_proxy.dialect"
KEY = "claude_max_proxy.key"
ENDING = "claude_max_proxy.ending"
BACKEND = "claude_max_proxy.backend"
LIVE = "claude_max_proxy.live"
REPLAYED = "claude_max_proxy.replayed"

# --- Metrics, all of them histograms

TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  # no secret
DURATION = "gen_ai.server.request.duration"
FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105  # no secret
PER_TOKEN = "gen_ai.server.time_per_output_token"  # noqa: S105  # no secret

# The bounds that the conventions recommend.
TOKEN_BOUNDS = tuple(float(4**power) for power in range(14))
DURATION_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)

# --- Values

_OPERATIONS = {"openai-completions": "text_completion", "openai-embeddings": "embeddings"}
_PROVIDERS = {"claude-cli": "anthropic", "anthropic": "anthropic", "openai": "openai"}


def operation(dialect: str) -> str:
    """Return what was asked for, in the words of the conventions."""
    return "count_tokens" if dialect.endswith("-count") else _OPERATIONS.get(dialect, "chat")


def provider(backend_type: str) -> str:
    """Return the provider that backends of a type lead to, which for HTTP is the one whose API it is."""
    return _PROVIDERS.get(backend_type, backend_type)
