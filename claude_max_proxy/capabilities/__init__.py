"""Which parts of a request a backend or a model honours, and what happens to the others."""

from claude_max_proxy.capabilities import refusals
from claude_max_proxy.capabilities.honoured import Capability, carry_content, carry_parameters


__all__ = ["Capability", "carry_content", "carry_parameters", "refusals"]
