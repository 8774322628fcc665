from functools import partial

from interpreter import interpreter


interpreter.llm.model = "openai/claude-sonnet-4"
interpreter.llm.api_base = "http://127.0.0.1:3456/v1"
interpreter.llm.api_key = "unused"
interpreter.llm.supports_functions = True
interpreter.llm.supports_vision = True
interpreter.llm.context_window = 200_000
interpreter.llm.max_tokens = 32_000
interpreter.offline = True  # it looks for no updates, and tells its makers nothing

# Of calls that come together it would run the first and lose the others.
interpreter.llm.completions = partial(interpreter.llm.completions, parallel_tool_calls=False)
