"""Between two connections: the gateway, which stands in for origins, and the proxy, which clients choose.

| file         | for                                                                                  |
|--------------|--------------------------------------------------------------------------------------|
| `gateway`    | listen, forward, drain                                                               |
| `settings`   | what an operator may set of both sides                                               |
| `origins`    | whom to ask: one question, `Destinations.choose`, with one answer or `Refused`       |
| `routes`     | ... by host and path; `route_settings` is how they are written                       |
| `balance`    | ... among several origins that serve the same                                        |
| `health`     | ... unless one is better left alone; `checks` asks, `upkeep` sees to both            |
| `warmth`     | connections that are kept ready                                                      |
| `origin_side`| what all origins have in common for which the same is set                            |
| `arrangement`| all of these as planned, and arranged anew                                           |
| `statistics` | what is counted of them                                                              |
| `hooks`      | functions of the user's own, by name                                                 |
| `inbound`    | one client's connection, and what is answered without asking an origin               |
| `exchange`   | one request joined with one connection to an origin: the way out, stale connections  |
| `answer`     | ... and the way back                                                                 |
| `content`    | content that is kept for a while                                                     |
| `outbound`   | one connection to an origin                                                          |
| `forwarding` | what crosses: strip → hook → add, on requests, responses and trailers                |
| `remembered` | the same for a head that was the same the last time                                  |
| `upgrade`    | an exchange whose request asks for another protocol                                  |
| `tunnel`     | two connections whose octets go to each other, once one of them has stopped being HTTP |
| `tunnels`    | ... how they are opened, and which there are                                          |
| `proxy`      | the forward proxy: listen, forward, drain; `proxy_settings`: what may be set of it   |
| `proxied`    | ... one client's connection to it                                                    |
| `targets`    | ... whom its requests are for                                                        |
| `connect`    | ... where tunnels lead                                                               |
| `access`     | ... where it may go                                                                  |
| `credentials`| ... who may use it; `passwords`: what is kept of a password                          |
| `belongings` | connections to origins that belong to one client alone                               |
| `proxy_status`| ... in the field of RFC 9209                                                         |
| `failures`   | what the client is told when the origin cannot be asked, or answers rubbish          |
| `shared`     | what all connections of one gateway share                                            |
"""

from __future__ import annotations
