from browser_use import Browser, ChatOpenAI


llm = ChatOpenAI(
    model="claude-sonnet-4",
    base_url="http://127.0.0.1:3456/v1",
    api_key="unused",
    max_retries=0,
    max_completion_tokens=None,  # otherwise thinking and answer together get 4,096 tokens
)
browser = Browser(
    executable_path="/usr/bin/chromium",
    headless=True,
    chromium_sandbox=False,  # in a container; leave this out on a desktop
    args=["--disable-background-networking"],
    enable_default_extensions=False,  # otherwise it downloads an ad blocker
)
