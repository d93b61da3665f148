"""What clients do with a server that breaks the rules, over raw octets: `python -m bench.guards`.

Every cell of docs/client-guards.md is what one client did: how its requests ended, on which connections they
arrived, and how often. No case needs more of a client than "ask this".

    talk     the server's end of one connection: octets, and nothing that would stop a mistake
    server   a listener whose connections play scripts, and what they noted
    row      what a question is: the scripts, what is asked, what a right answer looks like
    cell     what happened, in the words that cells share
    cases_*  the questions, with their scripts
    rows     all of them
    measure  puts rows to clients
    page     docs/client-guards.md, read and written
"""

from __future__ import annotations
