"""What the checks let LlamaIndex do."""

import openai
from connect import model
from harness import serve
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def user(text):
    """Return a conversation of one message."""
    return [ChatMessage(role="user", content=text)]


def whole(text):
    """Ask and wait."""
    return model.chat(user(text)).message.content


def streamed(text):
    """Ask and listen."""
    return [chunk.delta for chunk in model.stream_chat(user(text)) if chunk.delta]


def turns(texts):
    """Hold a conversation."""
    messages = [ChatMessage(role="system", content="Be brief.")]
    for text in texts:
        messages += user(text)
        messages.append(model.chat(messages).message)
    return [message.content for message in messages[2::2]]


async def tools(text):
    """Run an agent, without streams."""
    agent = FunctionAgent(tools=[weather, warmest], llm=model, system_prompt="Be brief.", streaming=False)
    return str(await agent.run(text))


async def streamed_tools(text):
    """Run an agent."""
    agent = FunctionAgent(tools=[weather, warmest], llm=model, system_prompt="Be brief.")
    running = agent.run(text)
    async for event in running.stream_events():
        assert not isinstance(event, AgentStream) or event.response is not None
    return str(await running)


def structured(text):
    """Ask for an object, which it does by a tool that has to be called."""
    return model.as_structured_llm(Person).chat(user(text)).raw.model_dump()


def image(text):
    """Show an image."""
    message = ChatMessage(role="user", blocks=[TextBlock(text=text), ImageBlock(url=PIXEL)])
    return model.chat([message]).message.content


def plan_limit(text):
    """Return the status of the error."""
    try:
        whole(text)
    except openai.RateLimitError as error:
        return error.status_code


if __name__ == "__main__":
    serve(globals())
