"""Binding: addresses in words become bound sockets, and unix sockets leave no files behind."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterable
from typing import TypeAlias

from perdure.wire.address import Address, parse_bind, plain_address
from perdure.wire.errors import AddressInUse, bind_error
from perdure.wire.queue import refuse_handshakes

BoundSocket: TypeAlias = socket.socket
"""What `bind_sockets` returns, for rooms that pass it on without touching it."""


def bind_sockets(bind: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bind the sockets of one address, not listening yet; workers may inherit them.

    Args:
        bind: "HOST:PORT" (port 0: any free one; a name may give several sockets, all on one
            port), ":PORT" (every address of both families) or "unix:PATH" (a file that a dead
            server left behind is replaced).
        reuse_port: let several processes bind the address, each with its own queue.

    Raises:
        AddressInUse, BindFailed: nothing is bound.
        ValueError: `bind` is none of the forms.
    """
    host, port, path = parse_bind(bind)
    try:
        if path is not None:
            return [_bind_unix(path, bind)]
        return _bind_every(host, port, reuse_port)
    except OSError as error:
        raise bind_error(error, bind) from error


def socket_address(bound: socket.socket) -> Address:
    """Return where a socket is bound."""
    return plain_address(bound.getsockname())


def release_sockets(sockets: Iterable[socket.socket]) -> None:
    """Close bound sockets and remove the files of unix ones; their addresses are nobody's from now on.

    Whoever waits in their queues is left to those who accept on copies; nobody comes to them any more.
    """
    for bound in sockets:
        refuse_handshakes(bound)
        bound.close()


def leave_sockets(sockets: Iterable[socket.socket]) -> None:
    """Close our copies of bound sockets; who waits in their queues waits for whoever has another."""
    for bound in sockets:
        bound.close()


def _bind_every(host: str, port: int, reuse_port: bool) -> list[socket.socket]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            # The first gives the port that "any free one" means for all.
            chosen = bound[0].getsockname()[1] if bound else port
            try:
                bound.append(_bind_one(family, (address[0], chosen, *address[2:]), reuse_port))
            except OSError:
                if not bound or port != 0:
                    raise
    except OSError:
        release_sockets(bound)
        raise
    return bound


def _bind_one(family: int, address: tuple[object, ...], reuse_port: bool) -> socket.socket:
    binding = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        binding.setblocking(False)
        if sys.platform != "win32":  # there it would let two servers share an address
            binding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            binding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # The IPv4 socket stands beside it.
            binding.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        binding.bind(address)
    except BaseException:
        binding.close()
        raise
    return binding


def _bind_unix(path: str, bind: str) -> socket.socket:
    _remove_stale(path, bind)
    binding = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        binding.setblocking(False)
        binding.bind(path)
    except BaseException:
        binding.close()
        raise
    return binding


def _remove_stale(path: str, bind: str) -> None:
    """Remove a unix socket that nobody listens on; a file of any other kind stays, and in the way."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise AddressInUse(f"cannot listen on {bind}: another server listens there", bind)
