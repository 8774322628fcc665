"""What the checks let LangChain do."""

from functools import partial

import openai
from connect import model, responses_model
from harness import serve
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


def whole(text, model=model):
    """Ask and wait."""
    return model.invoke(text).text


def streamed(text, model=model):
    """Ask and listen."""
    return [chunk.text for chunk in model.stream(text) if chunk.text]


def usage(text, model=model):
    """Ask what was used."""
    used = [chunk.usage_metadata for chunk in model.stream(text) if chunk.usage_metadata][-1]
    cached = used["input_token_details"]["cache_read"]
    return {"input": used["input_tokens"], "cached": cached, "output": used["output_tokens"]}


def turns(texts, model=model):
    """Hold a conversation."""
    messages = [SystemMessage("Be brief.")]
    for text in texts:
        messages.append(HumanMessage(text))
        messages.append(model.invoke(messages))
    return [message.text for message in messages[2::2]]


def tools(text, model=model):
    """Run an agent."""
    agent = create_agent(model, [tool(weather), tool(warmest)], system_prompt="Be brief.")
    return agent.invoke({"messages": [HumanMessage(text)]})["messages"][-1].text


def streamed_tools(text, model=model):
    """Run an agent, streamed."""
    agent = create_agent(model, [tool(weather), tool(warmest)], system_prompt="Be brief.")
    asked = {"messages": [HumanMessage(text)]}
    found = []
    for chunk, _ in agent.stream(asked, stream_mode="messages"):
        found = [] if chunk.type == "tool" else [*found, chunk.text]
    return "".join(found)


def structured(text, model=model):
    """Ask for an object."""
    return model.with_structured_output(Person).invoke(text).model_dump()


def image(text, model=model):
    """Show an image."""
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    return model.invoke([HumanMessage(parts)]).text


def plan_limit(text, model=model):
    """Return the status of the error."""
    try:
        model.invoke(text)
    except openai.RateLimitError as error:
        return error.status_code


FUNCTIONS = (whole, streamed, usage, turns, tools, streamed_tools, structured, image, plan_limit)

if __name__ == "__main__":
    by_responses = {f"responses_{one.__name__}": partial(one, model=responses_model) for one in FUNCTIONS}
    serve({one.__name__: one for one in FUNCTIONS} | by_responses)
