"""Every size the protocol core enforces, its default and its precedent.

Sizes are octets. Times are the drivers' business: the core has no clock.
"""

from __future__ import annotations

from typing import Final


class Limits:
    """How large the parts of a message may be.

    Attributes:
        max_line: request line and each field line (Apache, gunicorn: 8190 and 4094; RFC 9112
            §3 recommends at least 8000). Over it: 414 for the request line, 431 for a field.
        max_fields: field lines of one head, and of one trailer section (Apache, hyper: 100) → 431.
        max_head: a whole head, or trailer section → 431.
        max_body: content of one request → 413; None for any.
        max_chunk_extensions: of one message, together (Go counts them too, CVE-2023-39326) → 400.
        drain_body: request content a server reads on and throws away so that the connection may
            live (Go: 256 KiB); with more left, the close is announced instead.
        max_interim: interim responses before a final one; a flood of them is a fault.
    """

    __slots__ = (
        "drain_body",
        "max_body",
        "max_chunk_extensions",
        "max_fields",
        "max_head",
        "max_interim",
        "max_line",
    )

    def __init__(
        self,
        *,
        max_line: int = 8192,
        max_fields: int = 100,
        max_head: int = 65536,
        max_body: int | None = None,
        max_chunk_extensions: int = 4096,
        drain_body: int = 262144,
        max_interim: int = 32,
    ) -> None:
        self.max_line = min(max_line, max_head)  # a line is a part of a head
        self.max_fields = max_fields
        self.max_head = max_head
        self.max_body = max_body
        self.max_chunk_extensions = max_chunk_extensions
        self.drain_body = drain_body
        self.max_interim = max_interim


SERVER_LIMITS: Final = Limits()
CLIENT_LIMITS: Final = Limits(max_line=65536, max_fields=256, max_head=262144)
"""A client reads from a server it chose: cookies and policies of real sites are long."""

EMPTY_LINES_IGNORED: Final = 2
"""Empty lines skipped before a request line (RFC 9112 §2.2 asks for at least one)."""
STRAY_OCTETS_IGNORED: Final = 4
"""CR and LF octets a client swallows after a response; old servers add a line end to the content."""
