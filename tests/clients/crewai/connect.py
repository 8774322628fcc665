from crewai import LLM


where = {"model": "openai/claude-sonnet-4", "base_url": "http://127.0.0.1:3456/v1", "api_key": "unused"}
llm = LLM(**where)
streaming_llm = LLM(**where, stream=True)
