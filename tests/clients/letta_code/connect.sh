letta backend local
letta connect openai-compatible --base-url http://127.0.0.1:3456/v1 --api-key unused
