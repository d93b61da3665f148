"""Between two connections: the gateway, which serves clients and asks origins.

| file           | for                                                                          |
|----------------|------------------------------------------------------------------------------|
| `forwarding`   | what crosses: strip → hook → add, on requests, responses and trailers        |
| `failures`     | what the client is told when the origin cannot be asked, or answers rubbish  |
| `settings`     | both sides of one gateway; which origins there are, and which one is next    |
| `outbound`     | one connection to an origin                                                  |
| `exchange`     | one request of a client joined with one connection to an origin              |
| `inbound`      | one client's connection                                                      |
| `gateway`      | listen, forward, drain                                                       |
"""

from __future__ import annotations
