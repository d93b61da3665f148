"""Run the application of the table on cheroot: run_cheroot.py PORT SETTINGS-AS-JSON.

SIGTERM ends it as SIGINT ends cheroot's own command.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from cheroot import wsgi as cheroot_wsgi

from bench.servers.applications import wsgi


def main(port: str, settings: str) -> None:
    given: dict[str, Any] = json.loads(settings)
    limit = given.pop("keep_alive_conn_limit", None)
    server = cheroot_wsgi.Server(("127.0.0.1", int(port)), wsgi, **given)
    if limit is not None:
        server.keep_alive_conn_limit = limit
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
