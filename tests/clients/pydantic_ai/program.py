"""What the checks let Pydantic AI do."""

import base64
from functools import partial

from connect import model, responses_model
from harness import serve
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, ToolOutput
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def agent(model, **options):
    """Make an agent."""
    return Agent(model, instructions="Be brief.", **options)


async def whole(text, model=model):
    """Ask and wait."""
    return (await agent(model).run(text)).output


async def streamed(text, model=model):
    """Ask and listen."""
    async with agent(model).run_stream(text) as stream:
        return [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]


async def turns(texts, model=model):
    """Hold a conversation."""
    answers, history = [], []
    for text in texts:
        result = await agent(model).run(text, message_history=history)
        history = result.all_messages()
        answers.append(result.output)
    return answers


async def tools(text, model=model):
    """Run an agent."""
    return (await agent(model, tools=[weather, warmest]).run(text)).output


async def streamed_tools(text, model=model):
    """Run an agent, streamed."""
    worker = agent(model, tools=[weather, warmest])
    return (await worker.run(text, event_stream_handler=listen)).output


async def listen(_, events):
    """Take the events as they come, which makes it ask for streams."""
    async for _ in events:
        continue


async def structured(text, model=model):
    """Ask for an object, by OpenAI's structured outputs."""
    return (await agent(model, output_type=NativeOutput(Person)).run(text)).output.model_dump()


async def structured_by_tool(text, model=model):
    """Ask for an object, by a tool that has to be called, as it does where nothing is said."""
    return (await agent(model, output_type=ToolOutput(Person)).run(text)).output.model_dump()


async def image(text, model=model):
    """Show an image."""
    data = base64.b64decode(PIXEL.partition(",")[2])
    return (await agent(model).run([text, BinaryContent(data, media_type="image/png")])).output


async def plan_limit(text, model=model):
    """Return the status of the error."""
    try:
        await whole(text, model)
    except ModelHTTPError as error:
        return error.status_code


FUNCTIONS = (whole, streamed, turns, tools, streamed_tools, structured, structured_by_tool, image, plan_limit)

if __name__ == "__main__":
    by_responses = {f"responses_{one.__name__}": partial(one, model=responses_model) for one in FUNCTIONS}
    serve({one.__name__: one for one in FUNCTIONS} | by_responses)
