"""Replicas in network namespaces of their own, which tests can cut off from each other.

Nothing is seen outside: the bridges and the interfaces are in namespaces that end with the processes that
hold them, and these end with the test, also if it is killed. Needs Linux, root, and Debian's iproute2.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path


# What a replica is connected with, each by an interface of its own: the number is that of the subnet.
LINKS = {"balancer": 1, "database": 2, "provider": 3}
_NEWNET = 0x40000000
_TIMEOUT = 20.0
_DIES = ("setpriv", "--pdeathsig", "KILL", "--")
_PROGRAMS = ("ip", "unshare", "nsenter", "setpriv")


@cache
def missing() -> str:
    """Return why there are no namespaces here; empty if there are."""
    if os.name != "posix" or os.getuid() != 0:
        return "network namespaces need root"
    if gone := [one for one in _PROGRAMS if shutil.which(one) is None]:
        return f"there is no {', '.join(gone)} here (Debian's packages `iproute2` and `util-linux`)"
    try:
        with network(["one"]):
            return ""
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return f"no network namespaces can be made here: {error}"


class Network:
    """A namespace in the middle with a bridge for each link, and one for each of some names around it."""

    def __init__(self, names: Sequence[str], middle: int, pids: dict[str, int]) -> None:
        """Remember the processes that hold the namespaces."""
        self._names = list(names)
        self._middle = middle
        self._pids = pids

    def address(self, name: str, link: str) -> str:
        """Return the address of a name on a link; that of the middle is of the name ``""``."""
        return f"10.77.{LINKS[link]}.{1 if not name else self._names.index(name) + 10}"

    def inside(self, name: str) -> list[str]:
        """Return the words before a command that is to run in a name's namespace, and to end with us."""
        pid = self._pids[name] if name else self._middle
        return ["nsenter", f"--net=/proc/{pid}/ns/net", *_DIES]

    def cut(self, name: str, link: str) -> None:
        """Lose every packet of a name on a link from now on."""
        _run(*self.inside(""), "ip", "link", "set", self._end(name, link), "nomaster")

    def heal(self, name: str, link: str) -> None:
        """Carry packets again."""
        _run(*self.inside(""), "ip", "link", "set", self._end(name, link), "master", link)

    def listener(self, link: str, port: int = 0) -> socket.socket:
        """Return a socket that listens in the middle, on a link."""
        return self._in_middle(lambda: socket.create_server((self.address("", link), port)))

    def _in_middle(self, make: Callable[[], socket.socket]) -> socket.socket:
        """Return a socket that was made in the middle; it stays there, whoever uses it."""
        found: list[socket.socket | OSError] = []

        def work() -> None:
            try:
                _enter(self._middle)
                found.append(make())
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=work)  # only it is in that namespace, and it ends here
        thread.start()
        thread.join(_TIMEOUT)
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    def _end(self, name: str, link: str) -> str:
        return f"{link[:8]}{self._names.index(name)}"

    def build(self) -> None:
        """Make the bridges, and connect everybody."""
        commands = ["link set lo up"]
        for link in LINKS:
            commands += [f"link add {link} type bridge", f"link set {link} up"]
            commands.append(f"addr add {self.address('', link)}/24 dev {link}")
        for name in self._names:
            for link in LINKS:
                end = self._end(name, link)
                commands.append(f"link add {end} type veth peer name {link} netns {self._pids[name]}")
                commands += [f"link set {end} master {link}", f"link set {end} up"]
        _batch(self.inside(""), commands)
        for name in self._names:
            commands = ["link set lo up"]
            for link in LINKS:
                commands += [f"addr add {self.address(name, link)}/24 dev {link}", f"link set {link} up"]
            _batch(self.inside(name), commands)


@contextmanager
def network(names: Sequence[str]) -> Iterator[Network]:
    """Make the namespaces, and let them end at the end."""
    with ExitStack() as stack:
        middle, *pids = [stack.enter_context(_namespace()) for _ in ("", *names)]
        made = Network(names, middle, dict(zip(names, pids, strict=True)))
        made.build()
        yield made


@contextmanager
def _namespace() -> Iterator[int]:
    """Hold a new namespace by a process that ends with this one; yield its id."""
    holder = subprocess.Popen(
        [*_DIES, "unshare", "--net", *_DIES, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        holder.stdin.write(b"there\n")
        holder.stdin.flush()
        if holder.stdout.readline() != b"there\n":
            raise RuntimeError("unshare does not work")
        yield holder.pid
    finally:
        holder.kill()
        holder.wait(_TIMEOUT)
        holder.stdin.close()
        holder.stdout.close()


Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def forwarded(
    listener: socket.socket, connect: Callable[[], Awaitable[Connected]]
) -> AsyncIterator[None]:
    """Lead whoever connects to a socket to where ``connect`` leads."""

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        with contextlib.suppress(OSError):
            sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            there, back = await connect()
            await asyncio.gather(carry(reader, back), carry(there, writer))
        except asyncio.CancelledError:
            return  # it is the end, and nobody asks how it was
        except OSError:
            writer.close()
        finally:
            running.discard(task)

    running = set[asyncio.Task[None]]()
    server = await asyncio.start_server(serve, sock=listener)
    try:
        yield
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _enter(pid: int) -> None:
    """Bring this thread into the network namespace of a process."""
    with Path(f"/proc/{pid}/ns/net").open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def _batch(inside: list[str], commands: list[str]) -> None:
    _run(*inside, "ip", "-batch", "-", given="\n".join(commands))


def _run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
