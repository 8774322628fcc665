"""Reloading the configuration: watches its files, and replaces one generation by the next."""
