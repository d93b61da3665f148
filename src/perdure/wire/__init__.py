"""Octets and time: the only room that imports socket, ssl, select and time. It knows nothing of HTTP.

| file       | for                                                                              |
|------------|----------------------------------------------------------------------------------|
| `clock`    | `now()`, the Date field's octets, CPU seconds                                     |
| `errors`   | one tree; each error carries the `Reason` a connection ends with                  |
| `address`  | "HOST:PORT", "[V6]:PORT" and "unix:PATH", read and written                        |
| `loop`     | `LoopWire`, the base class of every asyncio connection (asyncio and uvloop)       |
| `sweep`    | `Sweeper`: the deadlines of all wires of a loop behind one timer                  |
| `network`  | `LoopNetwork`: dial and listen; choosing and running the event loop               |
| `blocking` | `BlockingWire`, `BlockingNetwork`: sockets with deadlines for threads             |
| `idle`     | `IdleWatch`: notices what happens to sockets that a sleeping program keeps idle   |
| `tls`      | contexts only                                                                     |
| `virtual`  | `VirtualLoop`: an event loop whose time jumps, so that tests never sleep          |
| `memory`   | `MemoryNetwork`: dial and listen without sockets, with scripted faults            |
| `scripted` | `ScriptedNetwork`: the blocking wire's twin in memory, its peer a generator       |
| `raw`      | `RawPeer`, `RawListener`: a test peer of literal octets over any of the networks  |
"""

from __future__ import annotations
