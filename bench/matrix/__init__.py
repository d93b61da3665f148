"""What proxies do with persistent connections on both of their sides: `python -m bench.matrix`.

Every cell of docs/gateways.md is measured by a function here: a scripted origin behind the proxy at the head
of the column, and a client in front of it, both of which speak raw octets and know nothing of perdure.

    origin       listens, plays a script on each connection, and keeps every octet that it hears
    asking       one question put to one proxy: its request, its connections, what the origin heard
    cell         the words that cells share
    row          what a question is: title, section, what that demands, how to ask
    cases_*      the questions, one function each, with their table at the end
    rows         all of them
    subjects     the proxies: how each is configured
    running      ... started, waited for and ended
    measure      puts rows to subjects
    page         docs/gateways.md, read and written
"""

from __future__ import annotations
