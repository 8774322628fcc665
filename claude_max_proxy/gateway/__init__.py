"""The way of one request through the hooks to a backend, and of its events back."""
