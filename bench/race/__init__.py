"""Who loses a request to an idle limit: `python -m bench.race`.

A server closes connections that have lain idle for half a second; clients rest between requests for about as
long. The news of a close travels for 30 ms, and so does the request that crosses it.

    variant  how the server ends connections, and what it says about it
    relay    octets and ends of connections, both delayed, in each direction
    origin   the server behind the relay, in a process of its own: it counts what was delivered, and how often
    run      one client against one variant: a `Result`
    page     the table, printed or written to docs/client-race.md
"""

from __future__ import annotations
