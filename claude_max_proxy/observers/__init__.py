"""The built-in observers, which hear about finished requests: one file for each."""
