"""marimo, an editor of notebooks: its server, and its page in a browser."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from playwright.async_api import Page, expect

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.serving import browse, free_port, serve
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import until
from tests.end_to_end.working import by_call


client = Client("marimo", "marimo")
HELLO = "/Hello (you) <b>&amp;"
CELL = {"edit": {"type": "add_cell", "position": {"type": "notebook_end"}, "code": "y = x + 1"}}
_WAIT = 30_000.0


class Editor:
    """The page with a notebook, and its panel in which one talks with the model."""

    def __init__(self, page: Page) -> None:
        """Take a page of the browser that shows a notebook."""
        self.page = page
        self._panel = page.locator("#app-chrome-sidebar")

    @classmethod
    async def opened(cls, stage: Stage) -> Editor:
        """Run the server, and open the notebook and the panel."""
        base = f"http://127.0.0.1:{(port := free_port())}"
        stage.place("marimo.toml", ".config/marimo/marimo.toml")
        options = ("--headless", "--no-token", "--skip-update-check", "--port", str(port))
        await serve(stage, f"{base}/health", "marimo", "edit", "program.py", *options)
        editor = cls(await browse(stage))
        await editor.page.goto(base)
        button = editor.page.locator("[data-key=ai]")
        await button.focus()
        await button.press("Enter")
        return editor

    async def begin(self) -> None:
        """Begin a new conversation."""
        await self._panel.locator(".lucide-plus").first.click()

    async def say(self, text: str) -> None:
        """Type a message and send it."""
        await self._panel.locator(".cm-content[contenteditable=true]").last.click()
        await self.page.keyboard.insert_text(text)
        await self.page.keyboard.press("Enter")

    async def press(self, name: str) -> None:
        """Press a button."""
        await self.page.get_by_role("button", name=name).first.click()

    async def sees(self, text: str) -> None:
        """Wait until the page shows this text."""
        await expect(self.page.get_by_text(text).last).to_be_visible(timeout=_WAIT)


_editors: WeakKeyDictionary[Stage, Editor] = WeakKeyDictionary()


async def editor(stage: Stage) -> Editor:
    """Return the editor, with a new conversation."""
    if stage not in _editors:
        _editors[stage] = await Editor.opened(stage)
    await _editors[stage].begin()
    return _editors[stage]


@client.check(requests=2)
async def chat(stage: Stage) -> None:
    """A conversation of two turns: the words arrive byte for byte."""
    page = await editor(stage)
    stage.upstream.script(Reply((Text("Good morning."),)), Reply((Text("Good night."),)))
    await page.say(HELLO)
    await page.sees("Good morning.")
    await page.say("And now?")
    await page.sees("Good night.")
    wanted = [
        ("user", [("text", HELLO)]),
        ("assistant", [("text", "Good morning.")]),
        ("user", [("text", "And now?")]),
    ]
    same(seen(stage.upstream), wanted, "the conversation")


@client.check(requests=2)
async def edit(stage: Stage) -> None:
    """As an agent, the model adds a cell to the notebook by marimo's tool, and the user keeps it."""
    page = await editor(stage)
    stage.upstream.script(
        Reply((Text("Let me see."), ToolUse("edit_notebook_tool", CELL))), Reply((Text("It is there."),))
    )
    await page.say("Add a cell.")
    await page.sees("It is there.")
    turns = by_call(seen(stage.upstream))
    call = ("call", 0, "edit_notebook_tool", CELL)
    same(
        turns[:2], [("user", [("text", "Add a cell.")]), ("assistant", [("text", "Let me see."), call])], "it"
    )
    within('"status":"success"', str(turns[2]), "the result")
    await page.press("Keep all")
    cell = page.page.locator("[data-testid=cell-editor]").last
    await expect(cell).to_contain_text("y = x + 1")


@client.check(requests=1)
async def stop(stage: Stage) -> None:
    """The answer is shown while it comes; when the user stops it, the request to the provider stops too."""
    page = await editor(stage)
    await page.say("Hello [[hang 3]]")
    await page.sees("w0 w1 w2")
    await page.press("Stop")
    left = await until(lambda: stage.upstream.requests[0].disconnected, 20)
    holds(left, "the provider was still being listened to after 20 s")


@client.check(requests=1)
async def plan_limit(stage: Stage) -> None:
    """It shows a used-up plan in the provider's own words."""
    page = await editor(stage)
    await page.say("Hello [[limit]]")
    await page.sees("usage limit reached")
    same(await stage.statuses(), [429], "the statuses")
