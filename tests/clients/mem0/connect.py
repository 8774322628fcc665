from mem0 import Memory


where = {"openai_base_url": "http://127.0.0.1:3456/v1", "api_key": "unused"}
config = {
    "llm": {"provider": "openai", "config": {"model": "claude-sonnet-4", **where}},
    "embedder": {"provider": "openai", "config": {"model": "text-embedding-3-small", **where}},
    "vector_store": {"provider": "chroma", "config": {"collection_name": "memories", "path": "memories"}},
    "history_db_path": "history.db",
}
memory = Memory.from_config(config)
