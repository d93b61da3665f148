"""The gateways that bench_gateway.py puts side by side, and what they stand between.

subjects      the gateways: how each is configured and started
with_perdure  ours, without and with hooks, and a relay that only copies octets
with_aiohttp  a gateway as people write one with aiohttp
origin        what they ask: the same small answer to everything, or a large one
load          requests, a download, idle connections, and what they cost
"""

from __future__ import annotations
