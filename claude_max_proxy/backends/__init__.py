"""What answers requests: one package or file per backend type."""
