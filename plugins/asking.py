
import time
from pathlib import Path

from claude_max_proxy import hookimpl


@hookimpl
def log_request(record):
    now = time.monotonic()
    with (Path(__file__).parent.parent / 'asked.txt').open("a") as file:
        file.write(f"{now - record.total} {now}\n")
