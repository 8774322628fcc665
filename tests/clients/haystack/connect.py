from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.utils import Secret


where = {
    "model": "claude-sonnet-4",
    "api_base_url": "http://127.0.0.1:3456/v1",
    "api_key": Secret.from_token("unused"),
    "max_retries": 0,
}
generator = OpenAIChatGenerator(**where)
responses_generator = OpenAIResponsesChatGenerator(**where)
