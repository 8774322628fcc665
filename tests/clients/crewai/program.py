"""What the checks let CrewAI do."""

import openai
from connect import llm, streaming_llm
from crewai import Agent, Crew, Task
from crewai.tools import tool
from harness import serve
from pydantic import BaseModel
from tools import warmest as the_warmest
from tools import weather as the_weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


@tool("weather")
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return the_weather(city)


@tool("warmest")
def warmest(a: int, b: int) -> str:
    """Tell the higher of two temperatures."""
    return the_warmest(a, b)


def agent(role, model=llm, **options):
    """Make an agent."""
    return Agent(role=role, goal="Help.", backstory="You are brief.", llm=model, **options)


async def crew(agents, tasks, **options):
    """Run a crew."""
    return await Crew(agents=agents, tasks=tasks, verbose=False, **options).kickoff_async()


def whole(text):
    """Ask and wait."""
    return llm.call(text)


def turns(texts):
    """Hold a conversation."""
    messages = [{"role": "system", "content": "Be brief."}]
    for text in texts:
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": llm.call(messages)})
    return [message["content"] for message in messages[2::2]]


async def tools(text, stream=False):
    """Run a crew of one with tools."""
    worker = agent("Guide", streaming_llm if stream else llm, tools=[weather, warmest])
    task = Task(description=text, expected_output="A city.", agent=worker)
    return (await crew([worker], [task])).raw


async def relay(text):
    """Run a crew of two, whose second goes on with what the first one wrote."""
    writer, critic = agent("Writer"), agent("Critic")
    first = Task(description=text, expected_output="A poem.", agent=writer)
    second = Task(description="Judge it.", expected_output="A verdict.", agent=critic, context=[first])
    return (await crew([writer, critic], [first, second])).raw


async def structured(text):
    """Ask for an object."""
    worker = agent("Guide")
    task = Task(description=text, expected_output="A person.", agent=worker, output_pydantic=Person)
    return (await crew([worker], [task])).pydantic.model_dump()


def plan_limit(text):
    """Return the status of the error."""
    try:
        whole(text)
    except Exception as error:
        causes = [error, error.__cause__, error.__context__]
        return next(one.status_code for one in causes if isinstance(one, openai.RateLimitError))


if __name__ == "__main__":
    serve(globals())
