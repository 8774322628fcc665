"""The page of Open WebUI as a person uses it, in a window of the browser."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.clients.serving import browse, free_port, serve
from tests.clients.stage import Stage


MODEL = "claude-sonnet-4"
# Nothing of it may ask the rest of the world, and its files belong into the stage's directory.
_ALONE = {
    "OFFLINE_MODE": "true",
    "HF_HUB_OFFLINE": "1",
    "ENABLE_VERSION_UPDATE_CHECK": "false",
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
    "WEBUI_SECRET_KEY": "a secret of nobody's",
}
# What makes it say more than it does by itself: whom it asks for, and that it wants the usage.
_MORE = {
    "ENABLE_FORWARD_USER_INFO_HEADERS": "true",
    "DEFAULT_MODEL_METADATA": '{"capabilities": {"usage": true}}',
}
_WAIT = 30_000.0


class Window:
    """A window of somebody who is signed in."""

    def __init__(self, page: Page, base: str) -> None:
        """Take a page of the browser, and the server's address."""
        self.page = page
        self.base = base
        self.answers = page.locator("#response-content-container")

    @classmethod
    async def opened(cls, stage: Stage) -> Window:
        """Run the server, and sign up in a new window."""
        base = f"http://127.0.0.1:{(port := free_port())}"
        lines = (stage.work / "open-webui.env").read_text("utf-8").splitlines()
        own = dict(line.split("=", 1) for line in lines)
        folders = {"DATA_DIR": str(stage.home / "data"), "STATIC_DIR": str(stage.home / "static")}
        command = ("open-webui", "serve", "--host", "127.0.0.1", "--port", str(port))
        await serve(stage, f"{base}/health", *command, **own, **_ALONE, **_MORE, **folders)
        window = cls(await browse(stage), base)
        await window._sign_up()
        return window

    async def _sign_up(self) -> None:
        page = self.page
        await page.goto(self.base)
        await self._press("Get started")
        await page.get_by_label("Name", exact=True).fill("Ada")
        await page.get_by_label("Email").fill("ada@example.org")
        await page.locator("input[type=password]").first.fill("correct horse")
        await self._press("Create Admin Account")
        await self._press("Okay, Let's Go!")

    async def choose_model(self, name: str = MODEL) -> list[str]:
        """Choose a model for a new chat, and return what the list offers."""
        await self.page.goto(self.base)
        await self.page.locator("#model-selector-model-button").click()
        options = self.page.get_by_role("option")
        await options.filter(has_text=name).first.click(trial=True)
        offered = [text.strip() for text in await options.all_inner_texts()]
        await options.filter(has_text=name).first.click()
        return offered

    async def say(self, text: str) -> None:
        """Type a message and send it."""
        await self.page.locator("#chat-input").click()
        await self.page.keyboard.insert_text(text)
        await self.page.locator("#send-message-button").click()

    async def attach(self, path: Path) -> None:
        """Add a file to the next message, and wait until the server has done its work with it."""
        done = self.page.expect_event("requestfinished", lambda one: "/process/status" in one.url)
        async with done:
            await self.page.locator("input[type=file]").first.set_input_files(str(path))

    async def switch_on(self, tool: str) -> None:
        """Let the chat use a tool of the workspace."""
        await self.page.locator("#integration-menu-button").click()
        await self.page.get_by_text("Tools").last.click()
        await self.page.get_by_role("menuitemcheckbox", name=tool).click()
        await self.page.keyboard.press("Escape")

    async def add_tool(self, name: str, source: str) -> None:
        """Put a tool into the workspace: the same request that its editor sends."""
        token = await self.page.evaluate("localStorage.token")
        tool = {"id": name.lower(), "name": name, "content": source, "meta": {"description": name}}
        answer = await self.page.request.post(
            f"{self.base}/api/v1/tools/create", headers={"Authorization": f"Bearer {token}"}, data=tool
        )
        assert answer.ok, await answer.text()

    async def press_at_last(self, name: str) -> None:
        """Press a button that belongs to the newest answer."""
        await self.page.get_by_role("button", name=name, exact=True).last.click()

    async def choose(self, what: str) -> None:
        """Choose from an open menu."""
        await self.page.get_by_text(what, exact=True).first.click()

    async def is_tagged(self, *tags: str) -> None:
        """Expect the chat's menu to show these tags."""
        await self.page.locator("#chat-context-menu-button").click()
        for tag in tags:
            await expect(self.page.get_by_role("button", name=tag, exact=True)).to_be_visible()
        await self.page.keyboard.press("Escape")

    async def sees(self, text: str) -> None:
        """Wait until the page shows this text."""
        await expect(self.page.get_by_text(text).first).to_be_visible(timeout=_WAIT)

    async def has_button(self, name: str) -> None:
        """Wait until the newest answer has this button."""
        await expect(self.page.get_by_role("button", name=name, exact=True).last).to_be_visible()

    async def is_answered(self, text: str) -> None:
        """Wait until the newest answer is complete, and has this text."""
        await expect(self.answers.last).to_contain_text(text, timeout=_WAIT)
        await self._gone(self.page.get_by_role("button", name="Stop", exact=True))

    async def _gone(self, what: Locator) -> None:
        await expect(what).to_have_count(0, timeout=_WAIT)

    async def _press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name).click()
