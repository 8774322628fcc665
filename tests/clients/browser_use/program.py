"""What the checks let browser-use do."""

from browser_use import Agent
from connect import browser, llm
from harness import serve


async def browse(text, steps):
    """Work on a task with a browser; return how it ended, and where it was."""
    agent = Agent(task=text, llm=llm, browser=browser, use_judge=False, max_failures=1, calculate_cost=False)
    history = await agent.run(max_steps=steps)
    return {"said": history.final_result(), "urls": history.urls(), "errors": history.errors()}


if __name__ == "__main__":
    serve(globals())
