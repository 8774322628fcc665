"""What the checks let AutoGen do."""

import openai
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, MultiModalMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core import Image
from autogen_core.models import UserMessage
from connect import model, team_model
from harness import serve
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def agent(**options):
    """Make an agent."""
    return AssistantAgent("guide", model, system_message="Be brief.", **options)


def member(name, **options):
    """Make a member of a team."""
    return AssistantAgent(name, team_model, system_message="Be brief.", **options)


async def whole(text):
    """Ask and wait."""
    return (await model.create([UserMessage(content=text, source="user")])).content


async def streamed(text):
    """Ask an agent and listen."""
    events = agent(model_client_stream=True).run_stream(task=text)
    return [event.content async for event in events if isinstance(event, ModelClientStreamingChunkEvent)]


async def usage(text):
    """Ask what was used."""
    asked = [UserMessage(content=text, source="user")]
    options = {"stream_options": {"include_usage": True}}
    answer = [one async for one in model.create_stream(asked, extra_create_args=options)][-1]
    return {"input": answer.usage.prompt_tokens, "output": answer.usage.completion_tokens}


async def turns(texts):
    """Hold a conversation."""
    guide = agent()
    return [(await guide.run(task=text)).messages[-1].content for text in texts]


async def tools(text, **options):
    """Run an agent."""
    worker = agent(tools=[weather, warmest], max_tool_iterations=5, **options)
    return (await worker.run(task=text)).messages[-1].content


async def streamed_tools(text):
    """Run an agent, streamed."""
    return await tools(text, model_client_stream=True)


async def structured(text):
    """Ask for an object."""
    return (await agent(output_content_type=Person).run(task=text)).messages[-1].content.model_dump()


async def team(text):
    """Let two agents talk in turn."""
    writer, critic = member("writer"), member("critic")
    end = TextMentionTermination("APPROVE", sources=["critic"])
    result = await RoundRobinGroupChat([writer, critic], termination_condition=end).run(task=text)
    return [[message.source, message.content] for message in result.messages]


async def selected(text):
    """Let the model say who speaks next."""
    writer, critic = member("writer", description="Writes."), member("critic", description="Judges.")
    end = MaxMessageTermination(3)
    result = await SelectorGroupChat([writer, critic], model, termination_condition=end).run(task=text)
    return [message.source for message in result.messages]


async def handed(text):
    """Let an agent hand over to another one."""
    first = member("desk", handoffs=["expert"])
    last = member("expert")
    end = TextMentionTermination("APPROVE", sources=["expert"])
    result = await Swarm([first, last], termination_condition=end).run(task=text)
    return result.messages[-1].content


async def image(text):
    """Show an image."""
    picture = Image.from_base64(PIXEL.partition(",")[2])
    message = MultiModalMessage(content=[text, picture], source="user")
    return (await agent().run(task=message)).messages[-1].content


async def plan_limit(text):
    """Return the status of the error."""
    try:
        await whole(text)
    except openai.RateLimitError as error:
        return error.status_code


if __name__ == "__main__":
    serve(globals())
