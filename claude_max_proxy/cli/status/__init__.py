"""``claude-max-proxy status``: one screen about the running proxy."""
