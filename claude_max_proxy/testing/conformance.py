"""The conformance suite: checks of backends and dialects that the author of a plugin calls in a test.

    async def test_my_backend():
        await check_backend(lambda: MyBackend("mine", MySettings()))

    def test_my_dialect():
        check_dialect(MyDialect(), [b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'])

A check raises :class:`AssertionError` with the rule that is broken; otherwise it returns nothing.
"""

from claude_max_proxy.testing.backend_conformance import check_backend
from claude_max_proxy.testing.dialect_conformance import check_dialect


__all__ = ["check_backend", "check_dialect"]
