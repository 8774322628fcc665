from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


provider = OpenAIProvider(base_url="http://127.0.0.1:3456/v1", api_key="unused")
model = OpenAIChatModel("claude-sonnet-4", provider=provider)
responses_model = OpenAIResponsesModel("claude-sonnet-4", provider=provider)
