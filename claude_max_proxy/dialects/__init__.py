"""The client APIs: one package per dialect, each pure."""
