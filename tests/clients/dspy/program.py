"""What the checks let DSPy do."""

import dspy
from connect import lm
from harness import serve
from pydantic import BaseModel
from tools import PIXEL, warmest, weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


Find = dspy.Signature("question -> person: Person", "Find the person.", custom_types={"Person": Person})
ADAPTERS = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}


def whole(text):
    """Ask and wait."""
    return lm(text)[0]


def turns(texts):
    """Hold a conversation."""
    messages = [{"role": "system", "content": "Be brief."}]
    for text in texts:
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": lm(messages=messages)[0]})
    return [message["content"] for message in messages[2::2]]


async def streamed(text):
    """Ask by a signature, and listen to one of its fields."""
    listener = dspy.streaming.StreamListener(signature_field_name="answer")
    asking = dspy.streamify(dspy.Predict("question -> answer"), stream_listeners=[listener])
    heard = [one async for one in asking(question=text)]
    return [one.chunk for one in heard if isinstance(one, dspy.streaming.StreamResponse)]


def structured(text, adapter):
    """Ask for an object by a signature."""
    with dspy.context(adapter=ADAPTERS[adapter]()):
        return dspy.Predict(Find)(question=text).person.model_dump()


def thought(text):
    """Ask for an answer with its reasons before it."""
    found = dspy.ChainOfThought("question -> answer")(question=text)
    return [found.reasoning, found.answer]


def tools(text):
    """Run an agent whose calls are text."""
    return dspy.ReAct("question -> answer", tools=[weather, warmest])(question=text).answer


def native_tools(text):
    """Run an agent whose calls are calls."""
    with dspy.context(adapter=dspy.ChatAdapter(use_native_function_calling=True)):
        return dspy.ReActV2("question -> answer", tools=[weather, warmest])(question=text).answer


def image():
    """Show an image."""
    return dspy.Predict("picture: dspy.Image -> answer")(picture=dspy.Image(PIXEL)).answer


def completions(text, count):
    """Ask for several answers."""
    return lm(text, n=count)


def plan_limit(text):
    """Return the status of the error."""
    try:
        whole(text)
    except dspy.LMRateLimitError as error:
        return error.status


if __name__ == "__main__":
    serve(globals())
