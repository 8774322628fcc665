"""The client matrix: real programs, configured as docs/clients shows it, against the real proxy.

    make clients
    make clients ARGS="openclaw aider --cli newest"

Every client has a folder here. Its `__init__.py` holds a `Client` and its checks; whatever else is in the
folder is copied into the client's working directory, with the address of the running proxy in the place of
`http://127.0.0.1:3456`, and is what the page in `docs/clients` shows.
"""
