from anthropic import Anthropic


client = Anthropic(base_url="http://127.0.0.1:3456", api_key="unused")  # no /v1 here
MODEL = "claude-sonnet-4"
