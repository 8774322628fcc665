from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel, set_tracing_disabled
from openai import AsyncOpenAI


set_tracing_disabled(True)  # traces would go to OpenAI
client = AsyncOpenAI(base_url="http://127.0.0.1:3456/v1", api_key="unused")
model = OpenAIResponsesModel(model="claude-sonnet-4", openai_client=client)
chat_model = OpenAIChatCompletionsModel(model="claude-sonnet-4", openai_client=client)
