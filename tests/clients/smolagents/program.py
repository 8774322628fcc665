"""What the checks let smolagents do."""

import base64
import io

import openai
from connect import model
from harness import serve
from PIL import Image
from smolagents import CodeAgent, LogLevel, ToolCallingAgent, tool
from tools import PIXEL


@tool
def weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
        city: The city.
    """
    return f"{21 if city == 'Zürich' else 9} in {city}"


@tool
def warmest(a: int, b: int) -> str:
    """Tell the higher of two temperatures.

    Args:
        a: One.
        b: The other.
    """
    return str(max(a, b))


TOOLS = [weather, warmest]


def user(text):
    """Return a conversation of one message."""
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]


def whole(text):
    """Ask and wait."""
    return model.generate(user(text)).content


def streamed(text):
    """Ask and listen."""
    return [delta.content for delta in model.generate_stream(user(text)) if delta.content]


def turns(texts):
    """Hold a conversation."""
    messages, answers = [], []
    for text in texts:
        messages += user(text)
        answers.append(model.generate(messages).content)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answers[-1]}]})
    return answers


def tools(text, streamed=False):
    """Run an agent that calls tools."""
    agent = ToolCallingAgent(TOOLS, model, stream_outputs=streamed, verbosity_level=LogLevel.OFF)
    return agent.run(text)


def code(text, structured=False):
    """Run an agent that writes code."""
    agent = CodeAgent(
        TOOLS, model, verbosity_level=LogLevel.OFF, use_structured_outputs_internally=structured
    )
    return agent.run(text)


def managed(text):
    """Run an agent that has another one to ask."""
    helper = ToolCallingAgent(
        [weather], model, name="meteorologist", description="Knows.", verbosity_level=LogLevel.OFF
    )
    return ToolCallingAgent([], model, managed_agents=[helper], verbosity_level=LogLevel.OFF).run(text)


def image(text):
    """Show an image to an agent."""
    picture = Image.open(io.BytesIO(base64.b64decode(PIXEL.partition(",")[2])))
    return ToolCallingAgent([], model, verbosity_level=LogLevel.OFF).run(text, images=[picture])


def plan_limit(text):
    """Return the status of the error."""
    try:
        whole(text)
    except openai.RateLimitError as error:
        return error.status_code


if __name__ == "__main__":
    serve(globals())
