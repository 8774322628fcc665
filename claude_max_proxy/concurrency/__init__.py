"""Tasks, threads and waits, each of which has an owner and a limit."""
