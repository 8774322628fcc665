"""``claude-max-proxy service``: the proxy in the background, kept by the platform's own service manager."""
