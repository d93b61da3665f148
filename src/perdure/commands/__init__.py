"""What the commands of the command line do; `cli` is their entry.

| file         | for                                                                                 |
|--------------|-------------------------------------------------------------------------------------|
| `command`    | a command as data: its section of settings, help, example, and what runs it          |
| `outcome`    | exit statuses, one-line errors, the story on standard error                          |
| `serve`      | `perdure serve`                                                                     |
| `gateway`    | `perdure gateway`                                                                   |
| `get`        | `perdure get`; `get_options`, `report`: what it takes and what it tells             |
| `pipelining` | requests sent without waiting for responses, for `get --pipeline`                    |
| `demo`       | `perdure demo`, and `demo_origin`: the application its origin serves                 |

These files import lazily, so that `perdure --help` starts no event loop: what only a running command
needs is imported in the function that runs it.
"""

from __future__ import annotations
