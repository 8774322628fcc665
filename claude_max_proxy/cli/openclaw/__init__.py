"""``claude-max-proxy openclaw``: OpenClaw's own configuration, told about this proxy."""
