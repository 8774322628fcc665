"""What the checks let OpenAI's Python client do."""

import json

import openai
from connect import MODEL, client
from harness import serve
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


FUNCTIONS = {"weather": weather, "warmest": warmest}
TYPES = {"weather": {"city": "string"}, "warmest": {"a": "integer", "b": "integer"}}
PARAMETERS = {
    name: {
        "type": "object",
        "properties": {key: {"type": type} for key, type in types.items()},
        "required": list(types),
        "additionalProperties": False,
    }
    for name, types in TYPES.items()
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": parameters, "strict": True}}
    for name, parameters in PARAMETERS.items()
]


def user(content):
    """Return a conversation of one message."""
    return [{"role": "user", "content": content}]


def call(name, arguments):
    """Run what the model called."""
    return FUNCTIONS[name](**json.loads(arguments))


def whole(text):
    """Ask and wait."""
    return client.chat.completions.create(model=MODEL, messages=user(text)).choices[0].message.content


def streamed(text):
    """Ask and listen, with the client's helper for streams."""
    with client.chat.completions.stream(model=MODEL, messages=user(text)) as stream:
        return [event.delta for event in stream if event.type == "content.delta"]


def usage(text):
    """Ask what was used."""
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model=MODEL, messages=user(text), stream=True, stream_options=options
    )
    used = [chunk.usage for chunk in stream if chunk.usage][-1]
    cached = used.prompt_tokens_details.cached_tokens
    return {"input": used.prompt_tokens, "cached": cached, "output": used.completion_tokens}


def turns(texts):
    """Hold a conversation."""
    messages = [{"role": "system", "content": "Be brief."}]
    for text in texts:
        messages += user(text)
        message = client.chat.completions.create(model=MODEL, messages=messages).choices[0].message
        messages.append(message)
    return [message.content for message in messages[2::2]]


def tools(text):
    """Run tools until there is an answer."""
    messages = user(text)
    while True:
        reply = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        message = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        messages += [result(one) for one in message.tool_calls]


def streamed_tools(text):
    """Run tools until there is an answer, with the client's helper for streams."""
    messages = user(text)
    while True:
        with client.chat.completions.stream(model=MODEL, messages=messages, tools=TOOLS) as stream:
            message = stream.get_final_completion().choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        messages += [result(one) for one in message.tool_calls]


def result(one):
    """Return the message that answers a call."""
    content = call(one.function.name, one.function.arguments)
    return {"role": "tool", "tool_call_id": one.id, "content": content}


def structured(text):
    """Ask for an object, with the client's helper for schemas."""
    reply = client.chat.completions.parse(model=MODEL, messages=user(text), response_format=Person)
    return reply.choices[0].message.parsed.model_dump()


def image(text):
    """Show an image."""
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    return client.chat.completions.create(model=MODEL, messages=user(parts)).choices[0].message.content


def plan_limit(text):
    """Return the status of the error."""
    try:
        whole(text)
    except openai.RateLimitError as error:
        return error.status_code


RESPONSES_TOOLS = [
    {"type": "function", "name": name, "parameters": parameters, "strict": True}
    for name, parameters in PARAMETERS.items()
]


def responses_whole(text):
    """Ask and wait."""
    return client.responses.create(model=MODEL, input=text).output_text


def responses_streamed(text):
    """Ask and listen, with the client's helper for streams."""
    with client.responses.stream(model=MODEL, input=text) as stream:
        return [event.delta for event in stream if event.type == "response.output_text.delta"]


def responses_usage(text):
    """Ask what was used."""
    with client.responses.stream(model=MODEL, input=text) as stream:
        used = stream.get_final_response().usage
    cached = used.input_tokens_details.cached_tokens
    return {"input": used.input_tokens, "cached": cached, "output": used.output_tokens}


def responses_turns(texts):
    """Hold a conversation that the proxy remembers."""
    answers = []
    for text in texts:
        previous = answers[-1].id if answers else None
        response = client.responses.create(
            model=MODEL, instructions="Be brief.", input=text, previous_response_id=previous
        )
        answers.append(response)
    return [response.output_text for response in answers]


def responses_tools(text):
    """Run tools until there is an answer."""
    items = user(text)
    while True:
        response = client.responses.create(model=MODEL, input=items, tools=RESPONSES_TOOLS, store=False)
        items += response.output
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        items += [
            {"type": "function_call_output", "call_id": one.call_id, "output": call(one.name, one.arguments)}
            for one in calls
        ]


def responses_structured(text):
    """Ask for an object, with the client's helper for schemas."""
    return client.responses.parse(model=MODEL, input=text, text_format=Person).output_parsed.model_dump()


def responses_image(text):
    """Show an image."""
    parts = [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": PIXEL}]
    return client.responses.create(model=MODEL, input=user(parts)).output_text


def responses_plan_limit(text):
    """Return the status of the error."""
    try:
        responses_whole(text)
    except openai.RateLimitError as error:
        return error.status_code


def models():
    """Name the models."""
    return [model.id for model in client.models.list()]


if __name__ == "__main__":
    serve(globals())
