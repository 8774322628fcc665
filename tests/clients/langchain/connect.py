from langchain_openai import ChatOpenAI


model = ChatOpenAI(
    model="claude-sonnet-4",
    base_url="http://127.0.0.1:3456/v1",
    api_key="unused",
    stream_usage=True,  # with a base_url, streams would not ask for their usage
)
responses_model = model.model_copy(update={"use_responses_api": True})
