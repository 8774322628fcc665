"""Attacks on a running proxy, and a soak with faults; docs/security.md says how to run them."""
