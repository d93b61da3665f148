"""`MemoryNetwork(latency=0.0, split=None)`: dial and listen without sockets. (Code follows.)

    network.script(Fault("server", after_octets=10, kind="rst"), connection=0)   # "fin" | "rst" | "stall"
    network.connections[0].client_octets / .server_octets / .opened_at / .client_end_at / .server_end_at / .reset_at
"""

from __future__ import annotations
