"""aider, run with one message at a time in a separate repository."""

from claude_max_proxy.testing import Reply, Text
from tests.clients.client import Client
from tests.clients.expecting import fine, same, within
from tests.clients.stage import Stage


client = Client("aider", "aider")
QUIET = ("--analytics-disable", "--no-check-update", "--no-show-release-notes", "--yes-always", "--no-pretty")
EDIT = """\
greeting.py
```python
<<<<<<< SEARCH
print("hello")
=======
print("good morning")
>>>>>>> REPLACE
```
"""


async def aider(stage: Stage, *arguments: str) -> str:
    """Run it in a repository with one file, and return what it prints."""
    if not (stage.work / ".git").exists():
        (stage.work / "greeting.py").write_text('print("hello")\n')
        (stage.work / ".gitignore").write_text("*\n!greeting.py\n")
        for command in (["init", "-q"], ["add", "greeting.py"], ["commit", "-qm", "begin"]):
            fine(await stage.run("git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command))
    return fine(await stage.run("aider", *QUIET, *arguments))


@client.check(requests=2)
async def edit(stage: Stage) -> None:
    """It changes a file and commits it, with a message that the weak model wrote."""
    stage.upstream.script(Reply((Text(EDIT),)), Reply((Text("feat: be polite"),)))
    await aider(stage, "--message", "Be polite.", "greeting.py")
    same((stage.work / "greeting.py").read_text(), 'print("good morning")\n', "the file")
    log = fine(await stage.run("git", "log", "-1", "--format=%s"))
    same(log.strip(), "feat: be polite", "the message of the commit")


@client.check(requests=1)
async def ask(stage: Stage) -> None:
    """It answers a question about a file, as a stream."""
    printed = await aider(
        stage, "--chat-mode", "ask", "--message", "What is this? [[say A greeting.]]", "greeting.py"
    )
    within("A greeting.", printed, "what it prints")


@client.check(requests=1)
async def whole(stage: Stage) -> None:
    """It answers without streaming."""
    arguments = ("--no-stream", "--chat-mode", "ask", "--message", "What is this? [[say A greeting.]]")
    within("A greeting.", await aider(stage, *arguments), "what it prints")
