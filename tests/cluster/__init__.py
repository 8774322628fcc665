"""Several replicas behind HAProxy, with faults, every request accounted for: `python -m tests.cluster`."""
