"""Plugins: what one is, how they are found and loaded, and how their hooks are called."""
