"""Network namespaces of Linux: hosts of their own inside one process, and sockets that live in them.

A socket belongs to the namespace of the thread that made it, for ever. So one program, with one event loop,
can be several hosts: it enters a namespace for as long as it takes to make a socket, and comes back.

    client, server = Namespace.create("client"), Namespace.create("server")
    with server.entered():
        subprocess.run(["ip", "link", "set", "lo", "up"])    # programs inherit it too
    listener = await NamespaceNetwork(server).listen(factory, "127.0.0.1:80")

No namespace has a name in the file system: it lives while a descriptor, a socket or a process refers to it,
and whatever was made in it ends with it, however this process ends. See namespaces(7), setns(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from perdure.wire.address import address_text, numeric_family
from perdure.wire.bind import bind_sockets, release_sockets
from perdure.wire.errors import WireError, bind_error, connect_error
from perdure.wire.listening import SocketListener
from perdure.wire.loop import LoopWire
from perdure.wire.network import LoopNetwork

W = TypeVar("W", bound=LoopWire)

CLONE_NEWNET: Final = 0x40000000
OWN: Final = "/proc/thread-self/ns/net"
SYSCTL: Final = "/proc/sys/"


class NamespacesUnavailable(WireError):
    """This machine, or this user, cannot make network namespaces; the message says why."""


class Namespace:
    """A network namespace.

    Attributes:
        name: for messages.
        descriptor: keeps it alive; -1 once it was closed.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor

    @classmethod
    def create(cls, name: str) -> Namespace:
        """Make an empty one, without even a loopback that is up.

        Raises:
            NamespacesUnavailable: the kernel or the user's rights do not allow it.
        """
        if sys.platform != "linux":
            raise NamespacesUnavailable(f"network namespaces are Linux's; this is {sys.platform}")
        made: list[int | OSError] = []

        def make() -> None:  # in a thread of its own, which stays in the namespace until it ends
            try:
                _call("unshare", CLONE_NEWNET)
                made.append(os.open(OWN, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=make, name=f"namespace {name}")
        thread.start()
        thread.join()
        result = made[0]
        if isinstance(result, OSError):
            raise NamespacesUnavailable(f"cannot make a network namespace: {result.strerror}") from result
        return cls(name, result)

    @property
    def path(self) -> str:
        """What `ip link set ... netns PATH` and `nsenter --net=PATH` take, while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it: sockets made and programs started by this thread belong to it.

        Nothing may be awaited inside, as other tasks of the thread would find themselves there too.
        """
        before = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", self.descriptor, CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", before, CLONE_NEWNET)
        finally:
            os.close(before)

    def run(self, *command: str, text: str = "") -> str:
        """Run a program in it to its end, and return what it printed.

        Args:
            command: the program and its arguments.
            text: its standard input.

        Raises:
            NamespacesUnavailable: there is no such program, or it failed; the message quotes its error.
        """
        try:
            with self.entered():
                done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        except FileNotFoundError as error:
            raise NamespacesUnavailable(f"{command[0]}: no such program") from error
        except subprocess.CalledProcessError as error:
            words = " ".join(error.stderr.split())
            raise NamespacesUnavailable(f"{' '.join(command)} in {self.name}: {words}") from error
        return done.stdout

    def set_kernel(self, name: str, value: object) -> None:
        """Set one of its kernel's parameters, such as "net.ipv4.tcp_congestion_control" (sysctl(8)).

        Raises:
            NamespacesUnavailable: there is no such parameter, or not this value.
        """
        try:
            with self.entered(), open(_parameter(name), "w", encoding="ascii") as file:
                file.write(str(value))
        except OSError as error:
            raise NamespacesUnavailable(f"{name} = {value} in {self.name}: {error.strerror}") from error

    def kernel(self, name: str) -> str:
        """Return one of its kernel's parameters. Raises NamespacesUnavailable where there is none."""
        try:
            with self.entered(), open(_parameter(name), encoding="ascii") as file:
                return file.read().strip()
        except OSError as error:
            raise NamespacesUnavailable(f"{name} in {self.name}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of it; it ends with its last socket. Harmless if it was done."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class NamespaceNetwork(LoopNetwork):
    """Real sockets on the running event loop, made in a namespace. Only literal addresses can be dialled."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    async def dial(
        self,
        factory: Callable[[], W],
        host: str,
        port: int,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> W:
        """Connect to an address; as `LoopNetwork.dial`."""
        family = numeric_family(host)
        where = address_text((host, port))
        if family is None:
            raise connect_error(OSError("only literal addresses are known in a namespace"), where)
        self._permitted(host, port, [host])
        loop = asyncio.get_running_loop()
        with self.namespace.entered():
            dialling = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        dialling.setblocking(False)
        name = (server_hostname or host) if tls is not None else None
        try:
            async with asyncio.timeout(None if timeout == math.inf else timeout):
                await loop.sock_connect(dialling, (host, port))
                _, wire = await loop.create_connection(factory, sock=dialling, ssl=tls, server_hostname=name)
                return wire
        except (OSError, ssl.SSLError) as error:
            dialling.close()
            raise connect_error(error, where, timeout) from error
        except BaseException:
            dialling.close()
            raise

    async def listen(
        self,
        factory: Callable[[], LoopWire],
        bind: str,
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
        reuse_port: bool = False,
    ) -> SocketListener:
        """Listen on an address of the namespace; as `LoopNetwork.listen`."""
        with self.namespace.entered():
            sockets = bind_sockets(bind, reuse_port=reuse_port)
        try:
            listener = await self.listen_on(factory, sockets, tls=tls, backlog=backlog)
        except OSError as error:
            release_sockets(sockets)
            raise bind_error(error, bind) from error
        listener.owned = True
        return listener


def _parameter(name: str) -> str:
    return SYSCTL + name.replace(".", "/")


def _call(function: str, *arguments: int) -> None:
    """Call the C library. Python has these functions from 3.12 on."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
