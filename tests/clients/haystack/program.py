"""What the checks let Haystack do."""

import json
from functools import partial
from typing import Annotated

import openai
from connect import generator, responses_generator
from harness import serve
from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.dataclasses import ChatMessage, ImageContent
from haystack.tools import create_tool_from_function
from pydantic import BaseModel
from tools import PIXEL


def weather(city: Annotated[str, "The city."]) -> str:
    """Tell the weather of a city."""
    return f"{21 if city == 'Zürich' else 9} in {city}"


def warmest(a: int, b: int) -> str:
    """Tell the higher of two temperatures."""
    return str(max(a, b))


TOOLS = [create_tool_from_function(weather), create_tool_from_function(warmest)]


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def whole(text, model=generator):
    """Ask and wait, in a pipeline."""
    pipeline = Pipeline()
    pipeline.add_component("prompt", ChatPromptBuilder([ChatMessage.from_user("{{text}}")]))
    pipeline.add_component("model", _again(model))
    pipeline.connect("prompt.prompt", "model.messages")
    return pipeline.run({"prompt": {"text": text}})["model"]["replies"][0].text


def _again(model):
    """Return the same, for a component belongs to one pipeline."""
    return type(model)(api_key=model.api_key, model=model.model, api_base_url=model.api_base_url)


def streamed(text, model=generator):
    """Ask and listen."""
    heard = []
    model.run([ChatMessage.from_user(text)], streaming_callback=lambda chunk: heard.append(chunk.content))
    return [piece for piece in heard if piece]


def turns(texts, model=generator):
    """Hold a conversation."""
    messages = [ChatMessage.from_system("Be brief.")]
    for text in texts:
        messages.append(ChatMessage.from_user(text))
        messages += model.run(messages)["replies"]
    return [message.text for message in messages[2::2]]


def tools(text, model=generator, **options):
    """Run an agent."""
    agent = Agent(chat_generator=model, tools=TOOLS, **options)
    return agent.run([ChatMessage.from_user(text)])["last_message"].text


def streamed_tools(text, model=generator):
    """Run an agent, streamed."""
    return tools(text, model, streaming_callback=lambda chunk: None)


def structured(text, model=generator):
    """Ask for an object."""
    key = "response_format" if model is generator else "text_format"
    replies = model.run([ChatMessage.from_user(text)], generation_kwargs={key: Person})["replies"]
    return json.loads(replies[0].text)


def image(text, model=generator):
    """Show an image."""
    picture = ImageContent(base64_image=PIXEL.partition(",")[2], mime_type="image/png")
    return model.run([ChatMessage.from_user(content_parts=[text, picture])])["replies"][0].text


def plan_limit(text, model=generator):
    """Return the status of the error."""
    try:
        model.run([ChatMessage.from_user(text)])
    except openai.RateLimitError as error:
        return error.status_code


FUNCTIONS = (whole, streamed, turns, tools, streamed_tools, structured, image, plan_limit)

if __name__ == "__main__":
    by_responses = {f"responses_{one.__name__}": partial(one, model=responses_generator) for one in FUNCTIONS}
    serve({one.__name__: one for one in FUNCTIONS} | by_responses)
