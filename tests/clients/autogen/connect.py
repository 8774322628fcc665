from autogen_core.models import ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient


where = {
    "model": "claude-sonnet-4",
    "base_url": "http://127.0.0.1:3456/v1",
    "api_key": "unused",
    "include_name_in_message": False,
    "model_info": ModelInfo(
        vision=True, function_calling=True, json_output=True, structured_output=True, family="unknown"
    ),
}
model = OpenAIChatCompletionClient(**where)
team_model = OpenAIChatCompletionClient(**where, add_name_prefixes=True)  # tells the model who says what
