"""Other libraries' requests over our connections. Nothing is imported here; see the files.

| file              | for                                                                      |
|-------------------|--------------------------------------------------------------------------|
| `httpx`           | `Transport` and `AsyncTransport` for clients of httpx and httpx2         |
| `httpx_packages`  | what differs between the two: their classes and their errors             |
| `requests`        | `Adapter` for sessions of requests                                       |
| `raw`             | its `response.raw`                                                       |
| `telemetry`       | OpenTelemetry metrics of a client's connections and requests             |
| `exact`           | a request that another library made, sent as it is                       |
| `network_stream`  | the connection of a response, for those who look at it                   |
| `tracing`         | an exchange step by step, under the names of httpcore                    |

Each needs its library, which is an extra of this package: `pip install 'perdure[httpx]'`.
"""

from __future__ import annotations
