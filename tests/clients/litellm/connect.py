import litellm


def ask(messages, **options):
    """Ask the proxy: `openai/` says which API it speaks, the rest is the model's name there."""
    return litellm.completion(
        model="openai/claude-sonnet-4",
        api_base="http://127.0.0.1:3456/v1",
        api_key="unused",
        messages=messages,
        **options,
    )
