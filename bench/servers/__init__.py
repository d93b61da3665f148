"""How Python servers treat persistent connections, asked over raw sockets: `python -m bench.servers`.

Every cell of docs/servers.md is measured by a function here, on the server it stands under.

    raw          one raw connection, and a lenient reader of its own
    cell         the words that cells share
    row          what a question is: title, section, what that demands, how to ask
    cases_*      the questions, one function each, with their table at the end
    rows         all of them
    subjects     the servers: how each is configured and started
    applications the same application for ASGI, WSGI and aiohttp
    measure      puts rows to a subject
    page         docs/servers.md, read and written
"""

from __future__ import annotations
