"""What clients may say, drawn at random; how each API writes it; and whether the upstream read just that."""
