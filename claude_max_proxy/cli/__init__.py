"""The commands: ``claude-max-proxy`` and, for those who come from the npm tool, ``claude-max-api [PORT]``."""
