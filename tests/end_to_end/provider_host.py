"""The provider's own host, as the CLI sees it through a proxy on loopback, which answers by itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.certificates import certificates


HOST = "api.anthropic.com"


class ProviderHost:
    """Serves ``https://api.anthropic.com`` in ``async with``, to programs with its :meth:`environment`.

    ``asked`` are the paths that were asked, in order; ``answers`` are the JSON answers by path. Everything
    else is a 404. Nothing leaves loopback.
    """

    def __init__(self, folder: Path, **answers: Any) -> None:
        """Make the certificates in ``folder``."""
        self.asked: list[str] = []
        self.answers: dict[str, Any] = answers
        self._certificates = certificates(folder, HOST)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(self._certificates.certificate, self._certificates.key)
        self._server: asyncio.Server | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        assert self._server is not None
        self._server.close()

    def environment(self) -> dict[str, str]:
        """Return the variables that lead a program here, whatever host it asks."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._port}",
            "HTTP_PROXY": f"http://127.0.0.1:{self._port}",
            "NO_PROXY": "127.0.0.1",
            "NODE_EXTRA_CA_CERTS": str(self._certificates.authority),
        }

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(f"CONNECT {HOST}:443 ".encode()):
                self.asked.append(head.split(b"\r\n")[0].decode())
                return
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.drain()
            await writer.start_tls(self._tls)
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1].decode()
                self.asked.append(path)
                answer = self.answers.get(path.partition("?")[0])
                body = json.dumps(answer or {}).encode()
                status = b"404 Not Found" if answer is None else b"200 OK"
                line = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                writer.write(line % (status, len(body)) + body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
