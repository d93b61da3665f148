"""The user agent: requests over connections that persist. Nothing is imported here; see the files.

| file            | for                                                                        |
|-----------------|----------------------------------------------------------------------------|
| `settings`      | what a user may set, with defaults and precedents                          |
| `urls`          | URL → `Origin`, request target, Host                                       |
| `errors`        | what goes wrong with an exchange, and how much of it the peer may have seen |
| `loop_pool`     | the ledger driven by an event loop; callbacks, for the gateway too         |
| `blocking_pool` | the ledger driven by threads                                               |
| `loop_dialling`, `blocking_dialling` | what the pools ask for when no connection is free     |
| `proxies`, `exemptions` | which requests go through a proxy, and what they look like then    |
| `tunnel`, `loop_tunnel` | what is said to a proxy for a tunnel, and what becomes of its answer |
| `content`       | request content: octets, files, iterators, JSON, forms                     |
| `request`       | a request as hooks, authentication and callers see it                      |
| `requests`      | method, URL and options → the request that is sent                         |
| `headers`, `models` | fields as a mapping; `Response`, `ConnectionUse`: what a caller gets   |
| `exchange`      | one request and its response as a flow of effects: the only logic          |
| `loop_wire`     | the asyncio wire of an exchange                                            |
| `loop_runner`, `blocking_runner`     | carry out the effects of an exchange                  |
| `loop_response`, `blocking_response` | responses that are read piece by piece                |
| `conversation`  | what happens around exchanges, as a flow of steps: the only logic of it    |
| `habits`        | what a client was told once: hooks, cookies, authentication, redirects     |
| `redirects`, `cookies`, `authentication`, `digest` | what a conversation decides by          |
| `aio`           | `AsyncClient`: carries the steps out on an event loop                      |
| `sync`          | `Client`: carries them out with blocking sockets                           |
"""

from __future__ import annotations
