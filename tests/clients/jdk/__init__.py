"""The JDK's own HTTP client, as it comes: it offers HTTP/2 with its first request."""

from tests.clients.client import Client
from tests.clients.expecting import holds, same
from tests.clients.scenarios import HELLO, Scenarios
from tests.clients.stage import Stage


client = Client("jdk", "HttpClient of the JDK")
PROGRAM = "program.java"
SCENARIOS = Scenarios(client, PROGRAM)
SCENARIOS.add("whole", "streamed", "turns", "tools", "image", "plan_limit", "models")


@client.check(requests=1)
async def offers_another_protocol(stage: Stage) -> None:
    """The proxy does not accept its offer of h2c, and answers the request over HTTP/1.1."""
    version = await stage.ask(PROGRAM, "version", text=HELLO)
    same(version, "HTTP_1_1", "the version of the answer")


@client.check(requests=1)
async def cancels(stage: Stage) -> None:
    """When it leaves a stream, the request to the provider ends too."""
    heard = await stage.ask(PROGRAM, "cancel", text="[[pace 0.05 400]]")
    holds(heard > 0, "nothing was heard before it left")
    await stage.asked(1)
    await stage.upstream.idle(within=10)
    holds(stage.upstream.requests[-1].disconnected, "the provider's answer went on to its end")
