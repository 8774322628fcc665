from openai import AsyncOpenAI
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion


service = OpenAIChatCompletion(
    ai_model_id="claude-sonnet-4",
    async_client=AsyncOpenAI(base_url="http://127.0.0.1:3456/v1", api_key="unused", max_retries=0),
)
