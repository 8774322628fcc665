"""What ``claude-max-proxy doctor`` looks at in an API over HTTP: that it answers, and takes our key."""

from __future__ import annotations

import asyncio
from functools import partial

from claude_max_proxy.check import Check, Finding
from claude_max_proxy.http_upstream.endpoint import Endpoint
from claude_max_proxy.http_upstream.trust import trusted


_MARGIN = 5.0


def http_check(name: str, api: Endpoint, path: str, timeout: float, authority: str = "") -> Check:
    """Return the check of ``[backends.<name>]``: it gets ``path``, the list of models, which costs nothing.

    ``authority`` is a file of certificate authorities that it trusts beside the usual ones.
    """
    return Check(f"{name}: API", partial(_reach, name, api, path, timeout, authority), timeout + _MARGIN)


async def _reach(name: str, api: Endpoint, path: str, timeout: float, authority: str) -> Finding:
    import httpx  # only who asks pays for it

    url, table = api.url(path), f"[backends.{name}]"
    tls = await asyncio.to_thread(trusted, authority)
    try:
        async with httpx.AsyncClient(headers=list(api.headers), timeout=timeout, verify=tls) as client:
            status = (await client.get(url)).status_code
    except httpx.HTTPError as error:
        what = str(error) or type(error).__name__
        return Finding("fail", f"{api.url('')} cannot be reached: {what}", f"see {table} base_url")
    if status in {401, 403}:
        return Finding("fail", f"{url} answers {status}: the key is missing or wrong", f"see {table} api_key")
    if status >= 500:
        return Finding("warn", f"{url} answers {status}", "it may be a passing fault of the server's")
    return Finding("ok", f"{api.url('')} answers" + (f", with {status} to {path}" if status >= 400 else ""))
