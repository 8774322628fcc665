"""What every backend and every dialect keeps, as checks that a plugin's author calls in a test.

    async def test_my_backend():
        await check_backend(lambda: MyBackend("mine", MySettings()))

    def test_my_dialect():
        check_dialect(MyDialect(), [b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'])

A check raises :class:`AssertionError` with the rule that is broken, and gives nothing.
"""

from claude_max_proxy.testing.backend_checks import check_backend
from claude_max_proxy.testing.dialect_checks import check_dialect


__all__ = ["check_backend", "check_dialect"]
