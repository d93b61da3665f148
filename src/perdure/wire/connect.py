"""Connecting without an event loop: happy eyeballs over non-blocking sockets, then TLS.

RFC 8305 §5 (attempts).
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import ssl

from perdure.wire import clock
from perdure.wire.address import Target

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # neither needs a descriptor

_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}


def race(targets: list[Target], stagger: float, deadline: float) -> socket.socket:
    """Return a connected, non-blocking socket to the first target that answers.

    Args:
        targets: in the order to try.
        stagger: seconds before the next is tried beside the last; at once when that failed.
        deadline: monotonic seconds.

    Raises:
        TimeoutError: the deadline passed.
        OSError: of the last attempt that failed, when all failed.
    """
    waiting = list(targets)
    error: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    with _Selector() as selector:
        try:
            while waiting or selector.get_map():
                if waiting:
                    error = _begin(selector, waiting.pop(0)) or error
                until = min(deadline, clock.now() + stagger) if waiting else deadline
                winner, failure = _wait(selector, until)
                if winner is not None:
                    return winner
                error = failure or error
                if clock.now() >= deadline:
                    raise TimeoutError
            raise error
        finally:
            for key in list(selector.get_map().values()):
                _close(key.fileobj)


def shake_hands(
    connected: socket.socket, context: ssl.SSLContext, server_hostname: str, deadline: float
) -> ssl.SSLSocket:
    """Put TLS on a connected socket, which is closed if that fails.

    Raises:
        TimeoutError: the deadline passed.
        ssl.SSLError, OSError: the handshake failed.
    """
    try:
        left = deadline - clock.now()
        if left <= 0:
            raise TimeoutError
        # The handshake within wrap_socket, because truststore verifies there on some systems.
        connected.settimeout(None if left == math.inf else left)
        return context.wrap_socket(connected, server_hostname=server_hostname, suppress_ragged_eofs=False)
    except BaseException:
        connected.close()
        raise


def _begin(selector: selectors.BaseSelector, target: Target) -> OSError | None:
    """Start one attempt; returns what stopped it at once."""
    try:
        connecting = socket.socket(target.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:  # such as a family that the kernel has not got
        return error
    connecting.setblocking(False)
    number = connecting.connect_ex(target.address)
    if number in _UNDER_WAY:
        selector.register(connecting, selectors.EVENT_WRITE)
        return None
    connecting.close()
    return OSError(number, os.strerror(number))


def _wait(selector: selectors.BaseSelector, until: float) -> tuple[socket.socket | None, OSError | None]:
    """Wait for attempts to end; returns the first that succeeded, or the last failure."""
    if not selector.get_map():
        return None, None
    failure: OSError | None = None
    for key, _ in selector.select(None if until == math.inf else max(0.0, until - clock.now())):
        connecting = key.fileobj
        assert isinstance(connecting, socket.socket)
        selector.unregister(connecting)
        number = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == 0:
            return connecting, None
        connecting.close()
        failure = OSError(number, os.strerror(number))
    return None, failure


def _close(connecting: object) -> None:
    assert isinstance(connecting, socket.socket)
    connecting.close()
