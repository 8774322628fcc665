"""What hears about requests: one file per observer."""
