"""The blocking wire's twin in memory: its peer is a generator of literal octets. (Code follows.)

def peer() -> Script:
    head = yield Until(b"\\r\\n\\r\\n")         # waits for octets of the client, receives them
    yield b"HTTP/1.1 200 OK\\r\\n\\r\\n"       # octets to the client
    yield Pause(5.0)                          # virtual seconds
    yield FIN                                 # or RST; or STALL (takes no more octets)

network = ScriptedNetwork([peer, peer])       # one script per connection; REFUSED, UNANSWERED too
network.clock.advance(4.0); network.connections[0].client_octets
"""

from __future__ import annotations
