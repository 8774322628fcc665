"""``claude-max-proxy openclaw``: adds this proxy to OpenClaw's configuration."""
