"""The connection of a response, for those who look at it: httpx's extension `network_stream`.

It answers questions. Octets cannot be read or written beside the exchange: they would be taken
for a part of a message (RFC 9112 §9.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_QUESTIONS: Final[dict[str, Callable[[Any], object]]] = {
    "client_addr": lambda wire: wire.own_address,
    "server_addr": lambda wire: wire.peer_address,
    "socket": lambda wire: _information(wire, "socket"),
    "ssl_object": lambda wire: _information(wire, "ssl_object"),
    "is_readable": lambda wire: wire.readable(),
}
"""Those of httpcore."""


class NetworkStream:
    """A connection, to be asked about."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire

    def get_extra_info(self, info: str) -> Any:
        """Answer one question.

        Args:
            info: "client_addr", "server_addr" (host, port), "socket", "ssl_object", or "is_readable".

        Returns:
            None for what is not known: another question, or TLS where there is none.
        """
        question = _QUESTIONS.get(info)
        return None if question is None else question(self._wire)


def _information(wire: Any, name: str) -> object:
    """Ask the socket of threads, or the transport of an event loop."""
    if hasattr(wire, "transport"):
        return wire.transport.get_extra_info(name)
    own = getattr(wire, "own_socket", None)
    return own if name == "socket" or wire.tls else None
