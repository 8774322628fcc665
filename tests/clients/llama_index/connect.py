from llama_index.llms.openai_like import OpenAILike


model = OpenAILike(
    model="claude-sonnet-4",
    api_base="http://127.0.0.1:3456/v1",
    api_key="unused",
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=200_000,
    max_retries=0,  # the proxy tries again what is worth it; LlamaIndex would, for a minute, whatever it is
)
