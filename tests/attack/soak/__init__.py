"""Mixed traffic with faults, for a long time: `python -m tests.attack.soak`."""
