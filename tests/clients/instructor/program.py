"""What the checks let Instructor do."""

from collections.abc import Iterable
from typing import Annotated

import instructor
from connect import anthropic_client, client, messages_client, openai_client, tools_client
from harness import serve
from instructor.core import InstructorRetryException
from instructor.processing.multimodal import Image
from pydantic import AfterValidator, BaseModel
from tools import PIXEL


MODEL = "claude-sonnet-4"


def adult(age):
    """Refuse children, in words that the model gets to read."""
    if age < 18:
        raise ValueError("“age” must be at least 18")
    return age


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


class Adult(BaseModel):
    """What is asked for, with a rule that no schema has."""

    name: str
    age: Annotated[int, AfterValidator(adult)]


class Weather(BaseModel):
    """What else may be asked for."""

    city: str


def user(content):
    """Return a conversation of one message."""
    return [{"role": "user", "content": content}]


def of(mode, api="chat"):
    """Return a client that asks for objects in this way."""
    if api == "messages":
        return instructor.from_anthropic(
            anthropic_client, mode=instructor.Mode(mode), model=MODEL, max_tokens=4096
        )
    return instructor.from_openai(openai_client, mode=instructor.Mode(mode), model=MODEL)


def structured(text):
    """Ask for an object by a schema."""
    return client.create(response_model=Person, messages=user(text)).model_dump()


def by_mode(text, mode, api="chat"):
    """Ask for an object in one of its ways."""
    return of(mode, api).create(response_model=Person, messages=user(text)).model_dump()


def again(text, mode, api="chat"):
    """Ask for an object, and let it be made again until it follows the rule."""
    asking = of(mode, api)
    return asking.create(response_model=Adult, messages=user(text), max_retries=2).model_dump()


def partial(text, mode="tool_call", api="chat"):
    """Ask for an object, and listen as it grows."""
    grown = of(mode, api).create_partial(response_model=Person, messages=user(text))
    return [one.model_dump() for one in grown]


def several(text, api="chat"):
    """Ask for any number of objects, and listen."""
    asking = messages_client if api == "messages" else tools_client
    return [one.model_dump() for one in asking.create_iterable(response_model=Person, messages=user(text))]


def parallel(text):
    """Ask for objects of several kinds at once."""
    kinds = Iterable[Person | Weather]
    found = of("parallel_tool_call").create(response_model=kinds, messages=user(text))
    return [one.model_dump() for one in found]


def image(text, api="chat"):
    """Show an image."""
    asking = messages_client if api == "messages" else client
    return asking.create(response_model=Person, messages=user([text, Image.autodetect(PIXEL)])).model_dump()


def plan_limit(text, api="chat"):
    """Return the status of the error."""
    asking = messages_client if api == "messages" else client
    try:
        asking.create(response_model=Person, messages=user(text))
    except InstructorRetryException as error:
        cause = error
        while not hasattr(cause, "status_code"):
            cause = cause.__cause__
        return cause.status_code


if __name__ == "__main__":
    serve(globals())
