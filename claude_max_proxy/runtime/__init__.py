"""One running configuration, and what is kept when the next one takes over."""
