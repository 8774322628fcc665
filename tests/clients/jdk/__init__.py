"""The JDK's own HTTP client, as it comes: it offers HTTP/2 with its first request."""

from claude_max_proxy.testing import words
from tests.clients.client import Client
from tests.clients.expecting import holds, same
from tests.clients.scenarios import HELLO, Scenarios
from tests.clients.stage import Stage


client = Client("jdk", "HttpClient of the JDK")
PROGRAM = "program.java"
SCENARIOS = Scenarios(client, PROGRAM)
SCENARIOS.add("whole", "streamed", "turns", "tools", "structured", "image", "plan_limit", "models")


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


@client.check(requests=1)
async def subscribes(stage: Stage) -> None:
    """A subscriber that asks for one line after the other gets the pieces in which the model said them."""
    pieces = await stage.ask(PROGRAM, "subscribed", text="[[deltas 40]]")
    same("".join(pieces), words(40), "the answer")
    holds(len(pieces) >= 40, f"the answer came in {len(pieces)} pieces, not 40")


@client.check(requests=1)
async def unsubscribes(stage: Stage) -> None:
    """When a subscriber cancels in the middle of a stream, the request to the provider ends too."""
    same(len(await stage.ask(PROGRAM, "unsubscribed", text="[[pace 0.05 400]]")), 1, "the number of pieces")
    await stage.upstream.idle(within=10)
    holds(stage.upstream.requests[-1].disconnected, "the provider's answer went on to its end")


@client.check(requests=1)
async def retry_after(stage: Stage) -> None:
    """The error of a used-up plan says in seconds when the plan is there again."""
    seconds = await stage.ask(PROGRAM, "retry_after", text="Hello [[limit]]")
    holds(seconds.isdigit() and int(seconds) > 0, f"Retry-After is {seconds!r}")
