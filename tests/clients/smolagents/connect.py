from smolagents import OpenAIModel
from smolagents.models import REMOVE_PARAMETER


model = OpenAIModel(
    "claude-sonnet-4",
    api_base="http://127.0.0.1:3456/v1",
    api_key="unused",
    tool_choice=REMOVE_PARAMETER,  # otherwise it insists on a call, which the newest models do not take
    retry=False,  # otherwise it waits minutes, also for a plan that is used up
)
