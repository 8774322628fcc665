import instructor
from anthropic import Anthropic
from openai import OpenAI


openai_client = OpenAI(base_url="http://127.0.0.1:3456/v1", api_key="unused")
client = instructor.from_openai(openai_client, model="claude-sonnet-4", mode=instructor.Mode.JSON_SCHEMA)

# By a tool that the model must call.
tools_client = instructor.from_openai(openai_client, model="claude-sonnet-4")

anthropic_client = Anthropic(base_url="http://127.0.0.1:3456", api_key="unused")
messages_client = instructor.from_anthropic(anthropic_client, model="claude-sonnet-4", max_tokens=4096)
