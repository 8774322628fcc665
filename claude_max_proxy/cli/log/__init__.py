"""The log of ``serve``: its formats, its file, and the thread that writes it."""
