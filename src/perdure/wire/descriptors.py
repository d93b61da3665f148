"""How many descriptors this process may have: each connection takes one.

A shell's usual soft limit is 1,024, the hard one is far above it; servers raise the one to the
other (Go does so at start, nginx has a directive). Windows has no such limit.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

RESERVED_DESCRIPTORS: Final = 32
"""For everything that is no connection: listeners, logs, files being served, the event loop."""

if sys.platform == "win32":

    def descriptor_limit() -> int | None:
        """Return None: there is no limit."""
        return None

    def raise_descriptor_limit() -> int | None:
        """Return None: there is no limit."""
        return None

else:
    import resource

    def descriptor_limit() -> int | None:
        """Return how many descriptors this process may have; None for any number."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if soft == resource.RLIM_INFINITY else soft

    def raise_descriptor_limit() -> int | None:
        """Raise the soft limit as far as the hard one allows.

        Returns:
            How many descriptors this process may have now; None for any number.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            # macOS reports a hard limit that it does not grant.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return descriptor_limit()
