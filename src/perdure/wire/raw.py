"""`RawPeer` and `RawListener`: a test peer of literal octets over LoopNetwork or MemoryNetwork. (Code follows.)

    peer = await RawPeer.dial(network, host, port)      # or: listener = await RawListener.listen(network, bind)
    peer.send(b"...")                                   #     peer = await listener.accept()
    await peer.receive_exactly(5); await peer.receive_until(b"\\r\\n\\r\\n"); await peer.receive_all()
    await peer.at_eof()                                 # True: FIN; False: RST
    peer.half_close(); peer.close(); peer.abort(); peer.received
"""

from __future__ import annotations
