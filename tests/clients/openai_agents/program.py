"""What the checks let the OpenAI Agents SDK do."""

from functools import partial

import openai
from agents import Agent, Runner, SQLiteSession, function_tool
from connect import chat_model, model
from harness import serve
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel
from tools import warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def agent(model, **options):
    """Make an agent."""
    return Agent(name="guide", instructions="Be brief.", model=model, **options)


def worker(model):
    """Make an agent with tools."""
    return agent(model, tools=[function_tool(weather), function_tool(warmest)])


async def answer(agent, text, **options):
    """Run it to its end."""
    return (await Runner.run(agent, text, **options)).final_output


async def pieces(agent, text):
    """Run it to its end, and return what came on the way, and the end."""
    running = Runner.run_streamed(agent, text)
    found = [
        event.data.delta
        async for event in running.stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]
    return found, running.final_output


async def whole(text, model=chat_model):
    """Ask and wait."""
    return await answer(agent(model), text)


async def streamed(text, model=chat_model):
    """Ask and listen."""
    return (await pieces(agent(model), text))[0]


async def turns(texts, model=chat_model):
    """Hold a conversation, with the SDK's own memory."""
    session = SQLiteSession("talk")
    return [await answer(agent(model), text, session=session) for text in texts]


async def tools(text, model=chat_model):
    """Run an agent."""
    return await answer(worker(model), text)


async def streamed_tools(text, model=chat_model):
    """Run an agent, streamed."""
    return (await pieces(worker(model), text))[1]


async def structured(text, model=chat_model):
    """Ask for an object."""
    return (await answer(agent(model, output_type=Person), text)).model_dump()


async def plan_limit(text, model=chat_model):
    """Return the status of the error."""
    try:
        await whole(text, model)
    except openai.RateLimitError as error:
        return error.status_code


FUNCTIONS = (whole, streamed, turns, tools, streamed_tools, structured, plan_limit)

if __name__ == "__main__":
    by_responses = {f"responses_{one.__name__}": partial(one, model=model) for one in FUNCTIONS}
    serve({one.__name__: one for one in FUNCTIONS} | by_responses)
