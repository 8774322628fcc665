"""What the checks let Anthropic's Python client do."""

import anthropic
from anthropic import beta_tool
from connect import MODEL, client
from harness import serve
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


ASKED = {"model": MODEL, "max_tokens": 4000}
TOOLS = [beta_tool(weather), beta_tool(warmest)]


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def user(content):
    """Return a conversation of one message."""
    return [{"role": "user", "content": content}]


def messages_whole(text):
    """Ask and wait."""
    return client.messages.create(messages=user(text), **ASKED).content[0].text


def messages_streamed(text):
    """Ask and listen, with the client's helper for streams."""
    with client.messages.stream(messages=user(text), **ASKED) as stream:
        return list(stream.text_stream)


def messages_usage(text):
    """Ask what was used."""
    with client.messages.stream(messages=user(text), **ASKED) as stream:
        used = stream.get_final_message().usage
    everything = used.input_tokens + used.cache_read_input_tokens + used.cache_creation_input_tokens
    return {"input": everything, "cached": used.cache_read_input_tokens, "output": used.output_tokens}


def messages_turns(texts):
    """Hold a conversation."""
    messages, answers = [], []
    for text in texts:
        messages += user(text)
        message = client.messages.create(messages=messages, system="Be brief.", **ASKED)
        messages.append({"role": "assistant", "content": message.content})
        answers.append(message.content[0].text)
    return answers


def messages_tools(text):
    """Run an agent, with the client's own runner."""
    runner = client.beta.messages.tool_runner(messages=user(text), tools=TOOLS, **ASKED)
    return runner.until_done().content[-1].text


def messages_streamed_tools(text):
    """Do the same, streamed."""
    message = None
    for stream in client.beta.messages.tool_runner(messages=user(text), tools=TOOLS, stream=True, **ASKED):
        message = stream.get_final_message()
    return message.content[-1].text


def messages_structured(text):
    """Ask for an object, with the client's helper for schemas."""
    return client.messages.parse(
        messages=user(text), output_format=Person, **ASKED
    ).parsed_output.model_dump()


def messages_image(text):
    """Show an image."""
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL.partition(",")[2]}
    return messages_whole([{"type": "text", "text": text}, {"type": "image", "source": source}])


def messages_plan_limit(text):
    """Return the status of the error."""
    try:
        messages_whole(text)
    except anthropic.RateLimitError as error:
        return error.status_code


def count(text):
    """Count tokens."""
    return client.messages.count_tokens(messages=user(text), model=MODEL).input_tokens


if __name__ == "__main__":
    serve(globals())
