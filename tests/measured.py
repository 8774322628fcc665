"""What a process inherits so that `make coverage` measures it, if it gets an environment of its own."""

from __future__ import annotations

import os


MEASURED = {name: os.environ[name] for name in ("COVERAGE_PROCESS_CONFIG",) if name in os.environ}
