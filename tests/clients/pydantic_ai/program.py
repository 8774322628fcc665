"""What the checks let Pydantic AI do."""

import base64

from connect import model
from harness import serve
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, ToolOutput
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def agent(**options):
    """Make an agent."""
    return Agent(model, instructions="Be brief.", **options)


async def whole(text):
    """Ask and wait."""
    return (await agent().run(text)).output


async def streamed(text):
    """Ask and listen."""
    async with agent().run_stream(text) as stream:
        return [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]


async def turns(texts):
    """Hold a conversation."""
    answers, history = [], []
    for text in texts:
        result = await agent().run(text, message_history=history)
        history = result.all_messages()
        answers.append(result.output)
    return answers


async def tools(text):
    """Run an agent."""
    return (await agent(tools=[weather, warmest]).run(text)).output


async def streamed_tools(text):
    """Run an agent, streamed."""
    found = ""
    async with agent(tools=[weather, warmest]).iter(text) as run:
        async for _ in run:
            continue
        found = run.result.output
    return found


async def structured(text):
    """Ask for an object, by OpenAI's structured outputs."""
    return (await agent(output_type=NativeOutput(Person)).run(text)).output.model_dump()


async def structured_by_tool(text):
    """Ask for an object, by a tool that has to be called, as it does where nothing is said."""
    return (await agent(output_type=ToolOutput(Person)).run(text)).output.model_dump()


async def image(text):
    """Show an image."""
    data = base64.b64decode(PIXEL.partition(",")[2])
    return (await agent().run([text, BinaryContent(data, media_type="image/png")])).output


async def plan_limit(text):
    """Give the status of the error."""
    try:
        await whole(text)
    except ModelHTTPError as error:
        return error.status_code


if __name__ == "__main__":
    serve(globals())
