"""Random requests of clients, written in each API, and checks that the upstream has read just the same."""
