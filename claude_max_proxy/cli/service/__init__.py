"""``claude-max-proxy service``: runs the proxy in the background, by the platform's own service manager."""
