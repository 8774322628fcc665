"""What the checks let Semantic Kernel do."""

from connect import service
from harness import serve
from pydantic import BaseModel
from semantic_kernel import Kernel
from semantic_kernel.agents import ChatCompletionAgent, ChatHistoryAgentThread
from semantic_kernel.connectors.ai.open_ai import OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory, ChatMessageContent, ImageContent, TextContent
from semantic_kernel.exceptions import ServiceResponseException
from semantic_kernel.functions import KernelArguments, kernel_function
from tools import PIXEL
from tools import warmest as the_warmest
from tools import weather as the_weather


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


class Sky:
    """The plugin with the tools."""

    @kernel_function(description="Tell the weather of a city.")
    def weather(self, city: str) -> str:
        """Tell the weather of a city."""
        return the_weather(city)

    @kernel_function(description="Tell the higher of two temperatures.")
    def warmest(self, a: int, b: int) -> str:
        """Tell the higher of two temperatures."""
        return the_warmest(a, b)


def asked(text):
    """Return a conversation of one message."""
    history = ChatHistory()
    history.add_user_message(text)
    return history


async def _answer(history, **options):
    settings = OpenAIChatPromptExecutionSettings(**options)
    return await service.get_chat_message_content(history, settings)


async def whole(text):
    """Ask and wait, by a prompt with a variable."""
    kernel = Kernel()
    kernel.add_service(service)
    return str(await kernel.invoke_prompt("{{$text}}", arguments=KernelArguments(text=text)))


async def streamed(text):
    """Ask and listen."""
    settings = OpenAIChatPromptExecutionSettings()
    chunks = service.get_streaming_chat_message_contents(asked(text), settings)
    return [str(chunk[0]) async for chunk in chunks if str(chunk[0])]


async def turns(texts):
    """Hold a conversation, with an agent's thread."""
    agent = ChatCompletionAgent(service=service, name="guide", instructions="Be brief.")
    thread = ChatHistoryAgentThread()
    return [str((await agent.get_response(text, thread=thread)).message) for text in texts]


def _agent():
    return ChatCompletionAgent(service=service, name="guide", instructions="Be brief.", plugins=[Sky()])


async def tools(text):
    """Run an agent that calls functions by itself."""
    return str((await _agent().get_response(text)).message)


async def streamed_tools(text):
    """Run an agent, streamed."""
    return "".join([str(one.message) async for one in _agent().invoke_stream(text)])


async def structured(text):
    """Ask for an object."""
    return Person.model_validate_json(str(await _answer(asked(text), response_format=Person))).model_dump()


async def image(text):
    """Show an image."""
    history = ChatHistory()
    items = [TextContent(text=text), ImageContent(data_uri=PIXEL)]
    history.add_message(ChatMessageContent(role="user", items=items))
    return str(await _answer(history))


async def plan_limit(text):
    """Return the status of the error."""
    try:
        await _answer(asked(text))
    except ServiceResponseException as error:
        return error.__cause__.status_code


if __name__ == "__main__":
    serve(globals())
