"""The lab: what persistent connections do, shown on hosts with a link between them, measured and drawn.

    scenario ──plays on──▶ stage ──stands on──▶ backend: memory │ namespaces │ loopback
       │                     │                     │
     claims ◀──compare── timelines ◀──lanes── what crossed the links, seen from both ends

| file                 | for                                                                                |
|----------------------|------------------------------------------------------------------------------------|
| `scenario`           | what a file in `scenarios/` declares, and how it is found                          |
| `stage`              | `Stage` and `Act`: programs on hosts, notes, claims. **All that a scenario needs** |
| `objects`, `page`    | what the servers of scenarios serve; ways to fetch a page with its images          |
| `trusting`, `others` | a client without care, and those of other libraries, to be put beside ours         |
| `relay`              | the blind relay                                                                    |
| `verdict`, `table`   | a claim: expected, measured, holds; figures side by side                           |
|                      | **Between hosts**                                                                  |
| `link`               | `Link`: round trip, rate, queue, loss, reordering; by arithmetic, from a seed      |
| `carrier`            | a process that carries frames over such links                                      |
| `backend`            | what the three backends have in common, and in what they differ                    |
| `backend_memory`     | virtual time: milliseconds, always the same; the tests' own                        |
| `backend_namespaces` | the kernel's TCP across real links: what is to be measured                         |
| `backend_loopback`   | for who may not make namespaces                                                    |
|                      | **What happened**                                                                  |
| `lanes`              | `Timeline`, `Lane`, `Crossing`: each connection, from both its ends                |
| `packets`, `flights` | frames read as lanes, and written as pcap; what left before it was acknowledged    |
| `timeline`, `picture`| an act as text, as SVG                                                             |
| `perform`            | plays a scenario on a backend; `Outcome`                                           |
| `report`, `figures`  | a page with everything, for a browser; the same for machines                       |
| `exports`, `plot`    | HAR and trace events; tables as bars, where matplotlib is installed                |

A new scenario is one file in `scenarios/`, by the pattern in `scenario`; `tests/lab/test_scenario.py` finds
it and plays it on every backend that it runs on. Two rules keep it honest. What happened is taken from what
crossed the links (`act.lanes`) or from what a program returned, never from what it ought to have done. What a
backend cannot show is claimed with `stage.expect_of_kernel`, and is then "not shown" there instead of true.

    async def play(stage):
        async with stage.act("refused") as act:                  # programs end with the act
            await act.serve("server", objects_of(1000), idle_timeout=0)
            client = await act.client("client", http_version="1.0")
            await client.get(act.url("server"))
        stage.expect("connections", 1, len(act.lanes))           # lanes are there once the act is over

Only `commands/lab.py` imports this room, and it does so when it runs: the rest of perdure does not need it.
"""

from __future__ import annotations
