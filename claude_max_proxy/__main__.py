"""Makes ``python -m claude_max_proxy`` do the same as the command ``claude-max-proxy``."""

from __future__ import annotations

from claude_max_proxy.cli.main import main


if __name__ == "__main__":
    main()
