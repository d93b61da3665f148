"""The HTTP clients that bench.race and bench.guards put side by side, each in a process of its own.

subjects      the clients: which module asks with it, and in which environment
environments  a virtual environment for each list of requirements, never the project's
asker         what every module with_*.py offers
with_*        one client each: ask, ask and read nothing, end
drive         what runs in the client's process: reads commands, one a line, and answers each
lanes         requests in lanes with gaps between them, on tasks or threads
standstill    whether the process could run when it wanted to
driven        the other end of it: starts a client and tells it what to do
"""

from __future__ import annotations
