from langchain_openai import ChatOpenAI


model = ChatOpenAI(model="claude-sonnet-4", base_url="http://127.0.0.1:3456/v1", api_key="unused")
