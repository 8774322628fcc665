"""The built-in dialects: one package for each, all of them pure."""
