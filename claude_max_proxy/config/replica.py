"""The name of this proxy among several that serve the same clients."""

from __future__ import annotations

import re
import socket
from functools import cache


LONGEST = 64  # characters, as many as a host name may have on Linux
PATTERN = rf"^[A-Za-z0-9._-]{{0,{LONGEST}}}$(?!\n)"  # `$` alone would let a line end pass
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def name_of_this_host() -> str:
    """Return a name for the proxy on this host; see :func:`named_by`."""
    return named_by(_host_name())


def named_by(host: str) -> str:
    """Return a name for the proxy on a host, made of the host's name.

    Runs of characters that may not be in it become ``-``; if nothing is left, the name is "proxy".
    """
    return _OTHER.sub("-", host)[:LONGEST].strip("-") or "proxy"


@cache  # the proxy keeps its name, even if somebody renames the machine
def _host_name() -> str:
    return socket.gethostname()
