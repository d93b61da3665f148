"""From names to addresses, by the system's resolver. RFC 8305 §3, §4."""

from __future__ import annotations

import asyncio
import socket

from perdure.wire.address import Address, Target, address_text, addresses_of, interleave, numeric_family
from perdure.wire.errors import connect_error


def look_up(host: str, port: int) -> list[Target]:
    """Look a name up; blocks. Raises OSError."""
    try:
        return interleave(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError as error:
        raise _no_name(error) from error


async def look_up_on_loop(host: str, port: int) -> list[Target]:
    """The same, in a thread of the running event loop. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise _no_name(error) from error
    return interleave(found)


def resolve(host: str, port: int) -> frozenset[Address]:
    """Say what a name resolves to; blocks.

    Returns:
        Its addresses; nothing for a literal address, which cannot change.

    Raises:
        NameNotFound, ConnectFailed: the resolver has no answer.
    """
    if numeric_family(host) is not None:
        return frozenset()
    try:
        return addresses_of(look_up(host, port))
    except OSError as error:
        raise connect_error(error, address_text((host, port))) from error


async def resolve_on_loop(host: str, port: int) -> frozenset[Address]:
    """The same, in a thread of the running event loop."""
    if numeric_family(host) is not None:
        return frozenset()
    try:
        return addresses_of(await look_up_on_loop(host, port))
    except OSError as error:
        raise connect_error(error, address_text((host, port))) from error


def _no_name(error: UnicodeError) -> OSError:
    """Such as a label of more than 63 octets: Python encodes it before it asks anybody."""
    return socket.gaierror(socket.EAI_NONAME, str(error))
