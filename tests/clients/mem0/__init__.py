"""Mem0, with a vector store in a folder and embeddings that the proxy computes."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, ToolUse
from tests.backends.local_embeddings.bert import Shape, random_weights, tokenizer, write_folder
from tests.clients.client import Client
from tests.clients.expecting import same, within
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen


client = Client("mem0", "Mem0", environment={"MEM0_TELEMETRY": "False"})
PROGRAM = "program.py"
SAID = [{"role": "user", "content": "the cat sat on a mat"}, {"role": "assistant", "content": "I see."}]
FACT = "The user's cat sat on a mat"


def place_model(stage: Stage) -> None:
    """Put a small embedding model where the proxy's configuration says."""
    folder = stage.proxy.home / "models" / "all-MiniLM-L6-v2"
    if not folder.exists():
        write_folder(folder, tokenizer(), random_weights(Shape()), Shape())


@client.check(requests=1)
async def add(stage: Stage) -> None:
    """It lets the model find what is worth remembering, and finds that again by local embeddings."""
    place_model(stage)
    found = [{"id": "0", "text": FACT, "attributed_to": "user"}]
    stage.upstream.script(Reply((ToolUse("StructuredOutput", {"memory": found}),)))
    same(await stage.ask(PROGRAM, "add", messages=SAID, user="ada"), [FACT], "what it remembers")
    within("the cat sat on a mat", str(seen(stage.upstream)), "what the model was asked")
    same(await stage.ask(PROGRAM, "search", query="the cat", user="ada"), [FACT], "what it finds")
    same(
        await stage.ask(PROGRAM, "search", query="the cat", user="bob"), [], "what it finds for another user"
    )


@client.check(requests=0)
async def keep(stage: Stage) -> None:
    """It remembers texts as they are and finds the nearest one, without asking the model."""
    place_model(stage)
    for text in ("the cat sat on a mat", "nobody knew why it rained"):
        same(await stage.ask(PROGRAM, "keep", text=text, user="eve"), [text], "what it remembers")
    found = await stage.ask(PROGRAM, "search", query="nobody knew why it rained", user="eve")
    same(found[0], "nobody knew why it rained", "the nearest")
    same(len(found), 2, "how many it finds")


@client.check(requests=1)
async def plan_limit(stage: Stage) -> None:
    """A used-up plan is a 429 with the provider's own words."""
    place_model(stage)
    same(await stage.ask(PROGRAM, "plan_limit", text="Hello [[limit]]"), 429, "the status")
