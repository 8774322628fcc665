from openai import OpenAI


client = OpenAI(base_url="http://127.0.0.1:3456/v1", api_key="unused")
MODEL = "claude-sonnet-4"
