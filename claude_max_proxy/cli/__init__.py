"""The commands: ``claude-max-proxy`` and, for users of the npm tool, ``claude-max-api [PORT]``."""
