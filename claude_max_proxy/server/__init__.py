"""The HTTP server: the only importer of Litestar and uvicorn."""
