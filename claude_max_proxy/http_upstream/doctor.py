"""What ``claude-max-proxy doctor`` checks of an API over HTTP: that it answers and accepts our key."""

from __future__ import annotations

import asyncio
from functools import partial

from claude_max_proxy.check import Check, Finding
from claude_max_proxy.config.secret import masked_url
from claude_max_proxy.http_upstream.endpoint import Endpoint
from claude_max_proxy.http_upstream.trust import trusted


_MARGIN = 5.0


def http_check(name: str, api: Endpoint, path: str, timeout: float, authority: str = "") -> Check:
    """Return the check for ``[backends.<name>]``, which gets ``path``, a list of models: that costs nothing.

    ``timeout`` is in seconds. ``authority`` is a file of certificate authorities that are trusted in addition
    to the usual ones.
    """
    return Check(f"{name}: API", partial(_reach, name, api, path, timeout, authority), timeout + _MARGIN)


async def _reach(name: str, api: Endpoint, path: str, timeout: float, authority: str) -> Finding:
    import httpx  # imported here because it takes time, which only this check should cost

    from claude_max_proxy.http_upstream.breakage import reason

    url, table = api.url(path), f"[backends.{name}]"
    shown = masked_url(url)
    tls = await asyncio.to_thread(trusted, authority)
    try:
        async with (
            httpx.AsyncClient(headers=list(api.headers), timeout=timeout, verify=tls) as client,
            client.stream("GET", url) as response,  # the body, which may be large, is not read
        ):
            status = response.status_code
    except httpx.HTTPError as error:
        return Finding("fail", f"{api.shown} cannot be reached: {reason(error)}", f"see {table} base_url")
    if status in {401, 403}:
        return Finding(
            "fail", f"{shown} answers {status}: the key is missing or wrong", f"see {table} api_key"
        )
    if status >= 500:
        return Finding("warn", f"{shown} answers {status}", "it may be a passing fault of the server's")
    return Finding("ok", f"{api.shown} answers" + (f", with {status} to {path}" if status >= 400 else ""))
