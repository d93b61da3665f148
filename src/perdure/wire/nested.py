"""TLS within TLS for threads: an https origin, in a tunnel, through a proxy that is itself spoken to in TLS.

Python's sockets speak TLS on a descriptor, and cannot on top of another TLS. So the inner one speaks to two
buffers, and what stands in them is carried over the outer one. It looks like a socket that never blocks, as
far as `BlockingWire` asks for one.

    octets ─▶ inner TLS ─▶ outgoing ─▶ outer TLS ─▶ the proxy
    octets ◀─ inner TLS ◀─ incoming ◀─ outer TLS ◀─

RFC 9110 §9.3.6; RFC 8446.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any, Final

from perdure.wire import clock
from perdure.wire.poll import READ, WRITE, Waiter

CARRIED_OCTETS: Final = 65536


class NestedTls:
    """An inner TLS over an outer one; see the module.

    Attributes:
        outer: the socket with the outer one.
    """

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, server_hostname: str) -> None:
        self.outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._waiting = b""  # of the inner TLS, and not yet taken by the outer
        self._promised = 0  # octets given to `send` and not yet counted: their record is among those
        self._inner = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)

    def shake_hands(self, deadline: float) -> None:
        """Shake hands with the other end of the tunnel.

        Raises:
            TimeoutError: the deadline passed.
            ssl.SSLError, OSError: the handshake failed.
        """
        waiter = Waiter(self.outer.fileno())
        while True:
            try:
                self._inner.do_handshake()
                self._flush()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert that says why
                raise
            else:
                if not self._waiting:
                    return
            if self._fetch():
                continue
            if not waiter.wait(self.waits_for, deadline):
                raise TimeoutError

    # What `BlockingWire` asks of a socket.

    def send(self, octets: memoryview) -> int:
        """Take octets, all of them or none: they are taken once the outer TLS has all of their record.

        Raises:
            ssl.SSLWantWriteError: it takes no more now. The next call begins with the same octets,
                as OpenSSL asks of everybody: their record may be on its way.
            ssl.SSLError: the next call did not have all of them.
        """
        self._flush()
        if not self._waiting and not self._promised:
            self._promised = self._inner.write(octets)
            self._flush()
        if self._waiting:
            raise ssl.SSLWantWriteError
        if len(octets) < self._promised:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "fewer octets than those under way")
        taken, self._promised = self._promised, 0
        return taken

    def recv(self, count: int) -> bytes:
        """Octets of the other end; b"" at its close_notify. Raises SSLWantReadError where none are here."""
        while True:
            try:
                octets = self._inner.read(count)
            except ssl.SSLWantReadError:
                # What arrived goes first: a peer that takes no more may have said why.
                if not self._fetch():
                    self._flush()
                    raise
            except ssl.SSLZeroReturnError:
                return b""
            else:
                return octets

    @property
    def waits_for(self) -> int:
        """What to poll for before the next `recv`: WRITE too while the outer TLS has not taken all."""
        return READ | WRITE if self._waiting else READ

    def unwrap(self) -> None:
        """Send close_notify for both; no answer is waited for."""
        with contextlib.suppress(ssl.SSLError):
            self._inner.unwrap()
        self._flush()
        self.outer.unwrap()

    def setblocking(self, blocking: bool) -> None:
        """As of a socket."""
        self.outer.setblocking(blocking)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """As of a socket."""
        self.outer.setsockopt(level, option, value)

    def shutdown(self, how: int) -> None:
        """As of a socket."""
        self.outer.shutdown(how)

    def fileno(self) -> int:
        """As of a socket."""
        return self.outer.fileno()

    def detach(self) -> int:
        """As of a socket: nothing is said to anybody."""
        return self.outer.detach()

    def close(self) -> None:
        """As of a socket."""
        self.outer.close()

    def _flush(self) -> None:
        """Hand what the inner TLS wrote to the outer, as far as it takes it."""
        self._waiting += self._outgoing.read()
        while self._waiting:
            try:
                taken = self.outer.send(self._waiting)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            self._waiting = self._waiting[taken:]

    def _fetch(self) -> bool:
        """Hand what has arrived to the inner TLS; False where nothing has.

        Raises:
            ssl.SSLEOFError, OSError: the outer TLS ended, or the connection is gone.
        """
        try:
            octets = self.outer.recv(CARRIED_OCTETS)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except ssl.SSLZeroReturnError:
            octets = b""
        if not octets:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the proxy ended the tunnel")
        self._incoming.write(octets)
        return True


def nest(
    outer: socket.socket | NestedTls, context: ssl.SSLContext, server_hostname: str, deadline: float
) -> NestedTls:
    """Speak TLS inside a TLS connection. Raises as `NestedTls.shake_hands`; the caller closes then."""
    if not isinstance(outer, ssl.SSLSocket):
        raise ValueError("TLS is nested once: a tunnel within a tunnel is not known here")
    if deadline <= clock.now():
        raise TimeoutError
    nested = NestedTls(outer, context, server_hostname)
    nested.shake_hands(deadline)
    return nested
