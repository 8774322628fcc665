"""What the checks let the OpenAI Agents SDK do."""

import openai
from agents import Agent, Runner, SQLiteSession, function_tool
from connect import model
from harness import serve
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel
from tools import warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def agent(model=model, **options):
    """Make an agent."""
    return Agent(name="guide", instructions="Be brief.", model=model, **options)


def worker(model=model):
    """Make an agent with tools."""
    return agent(model, tools=[function_tool(weather), function_tool(warmest)])


async def answer(agent, text, **options):
    """Run it to its end."""
    return (await Runner.run(agent, text, **options)).final_output


async def pieces(agent, text):
    """Run it to its end, and give what came on the way, and the end."""
    running = Runner.run_streamed(agent, text)
    found = [
        event.data.delta
        async for event in running.stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]
    return found, running.final_output


async def whole(text):
    """Ask and wait."""
    return await answer(agent(), text)


async def streamed(text):
    """Ask and listen."""
    return (await pieces(agent(), text))[0]


async def turns(texts):
    """Hold a conversation, with the SDK's own memory."""
    session = SQLiteSession("talk")
    return [await answer(agent(), text, session=session) for text in texts]


async def tools(text):
    """Run an agent."""
    return await answer(worker(), text)


async def streamed_tools(text):
    """Run an agent, streamed."""
    return (await pieces(worker(), text))[1]


async def structured(text):
    """Ask for an object."""
    return (await answer(agent(output_type=Person), text)).model_dump()


async def plan_limit(text):
    """Give the status of the error."""
    try:
        await whole(text)
    except openai.RateLimitError as error:
        return error.status_code


if __name__ == "__main__":
    serve(globals())
