"""What the checks let LiteLLM do."""

import inspect
import json

import litellm
from connect import ask
from harness import serve
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


TYPES = {str: "string", int: "integer"}
FUNCTIONS = {"weather": weather, "warmest": warmest}


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def tool(function):
    """Describe a function as a tool."""
    names = {name: one.annotation for name, one in inspect.signature(function).parameters.items()}
    properties = {name: {"type": TYPES[kind]} for name, kind in names.items()}
    parameters = {"type": "object", "properties": properties, "required": list(names)}
    return {"type": "function", "function": {"name": function.__name__, "parameters": parameters}}


def user(content):
    """Return a conversation of one message."""
    return [{"role": "user", "content": content}]


def whole(text):
    """Ask and wait."""
    return ask(user(text)).choices[0].message.content


def streamed(text):
    """Ask and listen."""
    deltas = [chunk.choices[0].delta.content for chunk in ask(user(text), stream=True)]
    return [delta for delta in deltas if delta]


def usage(text):
    """Ask what was used."""
    stream = ask(user(text), stream=True, stream_options={"include_usage": True})
    used = [chunk.usage for chunk in stream if getattr(chunk, "usage", None)][-1]
    cached = used.prompt_tokens_details.cached_tokens
    return {"input": used.prompt_tokens, "cached": cached, "output": used.completion_tokens}


def turns(texts):
    """Hold a conversation."""
    messages = [{"role": "system", "content": "Be brief."}]
    for text in texts:
        messages += user(text)
        messages.append(ask(messages).choices[0].message)
    return [message.content for message in messages[2::2]]


def tools(text, **options):
    """Run tools until there is an answer."""
    messages = user(text)
    while True:
        message = reply(messages, **options).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            content = FUNCTIONS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def reply(messages, **options):
    """Ask with tools, and put a streamed answer together with its helper."""
    answer = ask(messages, tools=[tool(weather), tool(warmest)], **options)
    return litellm.stream_chunk_builder(list(answer), messages=messages) if options else answer


def streamed_tools(text):
    """Do the same, streamed."""
    return tools(text, stream=True)


def structured(text):
    """Ask for an object."""
    return json.loads(ask(user(text), response_format=Person).choices[0].message.content)


def image(text):
    """Show an image."""
    return whole([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PIXEL}}])


def plan_limit(text):
    """Return the status of the error."""
    try:
        whole(text)
    except litellm.RateLimitError as error:
        return error.status_code


if __name__ == "__main__":
    serve(globals())
