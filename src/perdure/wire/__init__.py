"""Octets and time: the only room that imports socket, ssl, select and time. It knows nothing of HTTP.

| file       | for                                                                              |
|------------|----------------------------------------------------------------------------------|
| `clock`    | `now()`, the Date field's octets, CPU seconds                                     |
| `errors`   | one tree; each error carries the `Reason` a connection ends with                  |
| `address`  | "HOST:PORT", "[V6]:PORT" and "unix:PATH", read and written                        |
| `tls`      | contexts only                                                                     |
| `kernel`   | how many octets the kernel still holds for the peer                               |
| `seldom`   | a line once a minute at most, with a count                                        |
|            | **Event loops**                                                                   |
| `loop`     | `LoopWire`, the base class of every asyncio connection (asyncio and uvloop)       |
| `linger`   | what takes its place while it closes                                              |
| `sweep`    | `Sweeper`: the deadlines of all wires of a loop behind one timer                  |
| `network`  | `LoopNetwork`: dial and listen; choosing and running the event loop               |
| `listening`| a listener, and how it comes to its end without losing a connection               |
| `accepting`| what is said when there is no descriptor for another connection                   |
| `bind`     | bound sockets, and what they leave behind                                         |
| `queue`    | who waits to be accepted, and how no more of them come                            |
| `happy`    | happy eyeballs for event loops                                                    |
| `systemd`  | sockets and readiness of systemd                                                  |
|            | **Threads**                                                                       |
| `blocking` | `BlockingWire`, `BlockingNetwork`: sockets with deadlines                         |
| `connect`  | connecting without an event loop, happy eyeballs included                         |
| `poll`     | waiting for one socket                                                            |
| `idle`     | `IdleWatch`: notices what happens to sockets that a sleeping program keeps idle   |
|            | **Linux**                                                                         |
| `namespace`| hosts of their own inside one process, and sockets that live in them              |
| `frames`   | Ethernet frames of an interface, as they are                                      |
|            | **Tests**                                                                         |
| `virtual`  | `VirtualLoop`: an event loop whose time jumps, so that tests never sleep          |
| `memory`   | `MemoryNetwork`: dial and listen without sockets, with scripted faults            |
| `pair`     | its joined transports                                                             |
| `scripted` | `ScriptedNetwork`: the blocking wire's twin in memory, its peer a generator       |
| `raw`      | `RawPeer`, `RawListener`: a test peer of literal octets over any of the networks  |
"""

from __future__ import annotations
