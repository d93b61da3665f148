"""The command `perdure`, which is `python -m perdure` too.

The command line takes some tenths of a second to import: who interrupts that is not shown a traceback either.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""As a shell says of SIGINT; `commands.outcome` is not imported yet."""


def main() -> None:
    """Import the command line, and run it."""
    try:
        from perdure.cli import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
