"""Keys to seal with, for tests."""

from __future__ import annotations

import base64


KEY, OTHER_KEY = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
