"""The HTTP server, the only part that imports Litestar and uvicorn."""
