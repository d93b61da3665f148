"""The user agent: requests over connections that persist. Nothing is imported here; see the files.

| file            | for                                                                        |
|-----------------|----------------------------------------------------------------------------|
| `settings`      | what a user may set, with defaults and precedents                          |
| `urls`          | URL → `Origin`, request target, Host                                       |
| `errors`        | what goes wrong with an exchange, and how much of it the peer may have seen |
| `loop_pool`     | the ledger driven by an event loop; callbacks, for the gateway too         |
| `blocking_pool` | the ledger driven by threads                                               |
| `loop_dialling`, `blocking_dialling` | what the pools ask for when no connection is free     |
| `content`       | request content: octets, files, iterators, JSON, forms                     |
| `requests`      | method, URL and content → the request that is sent                         |
| `models`        | `Headers`, `Response`, `Connection`: what a caller gets                    |
| `exchange`      | one request and its response as a flow of effects: the only logic          |
| `loop_wire`     | the asyncio wire of an exchange                                            |
| `aio`           | `AsyncClient`: carries the effects out on an event loop                    |
| `sync`          | `Client`: carries them out with blocking sockets                           |
"""

from __future__ import annotations
