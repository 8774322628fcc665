"""`deploy/kubernetes/configmap.yaml`, which has copies of the files that every other way of running uses."""

from __future__ import annotations

import textwrap
from pathlib import Path


DEPLOY = Path(__file__).parents[2] / "deploy"
PLACE = DEPLOY / "kubernetes" / "configmap.yaml"
_FILES = ("proxy.toml", "haproxy.cfg")
_HEAD = """\
# Copies of deploy/proxy.toml and deploy/haproxy.cfg, which `make docs` writes.
apiVersion: v1
kind: ConfigMap
metadata:
  name: claude-max-proxy
data:
"""


def configmap() -> str:
    """Return the text of the file."""
    parts = [_HEAD]
    for name in _FILES:
        text = (DEPLOY / name).read_text("utf-8")
        parts.append(f"  {name}: |\n{textwrap.indent(text, '    ')}")
    return "".join(parts)
