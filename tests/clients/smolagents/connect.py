from smolagents import OpenAIModel


model = OpenAIModel(
    "claude-sonnet-4",
    api_base="http://127.0.0.1:3456/v1",
    api_key="unused",
    retry=False,  # otherwise it waits minutes, also for a plan that is used up
)
