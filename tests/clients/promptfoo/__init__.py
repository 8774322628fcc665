"""promptfoo."""

from __future__ import annotations

import json
from typing import Any

from claude_max_proxy.testing import Reply, Text
from tests.clients.client import Client
from tests.clients.expecting import same, within
from tests.clients.stage import Stage


client = Client(
    "promptfoo",
    "promptfoo",
    environment={
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
        "PROMPTFOO_CACHE_ENABLED": "false",
    },
)
ASKED = 6  # two prompts for each of three providers
FAILED = 100  # the status with which it ends after a test has failed


async def evaluate(stage: Stage, config: str, status: int) -> dict[str, Any]:
    """Let it evaluate, one request after the other, and return its results."""
    options = ("--no-table", "--no-progress-bar", "--max-concurrency", "1", "--output", "results.json")
    output = await stage.run("promptfoo", "eval", "--config", config, *options)
    same(output.status, status, "its status")
    results: dict[str, Any] = json.loads((stage.work / "results.json").read_text("utf-8"))["results"]
    return results


def counts(results: dict[str, Any]) -> list[int]:
    """Return how many tests passed, failed and ended with an error."""
    stats = results["stats"]
    return [stats["successes"], stats["failures"], stats["errors"]]


@client.check(requests=2 * ASKED)
async def passes(stage: Stage) -> None:
    """It asks by all three APIs, and its own assertions and the grades of a model let the answers pass."""
    answer = Reply((Text("It is warm in Zürich."),))
    grade = Reply((Text(json.dumps({"reason": "So it is.", "pass": True, "score": 1})),))
    stage.upstream.script(*[answer] * ASKED, *[grade] * ASKED)
    results = await evaluate(stage, "promptfooconfig.yaml", 0)
    same(counts(results), [ASKED, 0, 0], "the counts")
    said = {one["response"]["output"] for one in results["results"]}
    same(said, {"It is warm in Zürich."}, "the answers")


@client.check(requests=2 * ASKED)
async def fails(stage: Stage) -> None:
    """Answers that its assertions or the model's grades do not like fail."""
    answer = Reply((Text("It is warm in Oslo."),))
    grade = Reply((Text(json.dumps({"reason": "So it is.", "pass": True, "score": 1})),))
    stage.upstream.script(*[answer] * ASKED, *[grade] * ASKED)
    same(counts(await evaluate(stage, "promptfooconfig.yaml", FAILED)), [0, ASKED, 0], "the counts")


@client.check(requests=2)
async def tools_and_errors(stage: Stage) -> None:
    """A call of a tool is valid for it, and a used-up plan is an error that says so."""
    results = await evaluate(stage, "program.yaml", FAILED)
    same(counts(results), [1, 0, 1], "the counts")
    within("Rate limit exceeded", results["results"][1]["error"], "the error")
