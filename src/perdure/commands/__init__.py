"""What the commands of the command line do; `cli` is their entry.

| file           | for                                                                             |
|----------------|---------------------------------------------------------------------------------|
| `command`      | a command as data: its section of settings, help, example, and what runs it     |
| `help`         | help that is whole in 80 columns                                                |
| `outcome`      | exit statuses, one-line errors, the story on standard error                     |
| `serve`        | `perdure serve`                                                                 |
| `gateway`      | `perdure gateway`                                                               |
| `proxy`        | `perdure proxy`                                                                 |
| `get`          | `perdure get`; `get_options`, `get_request`: what it takes, and what that means |
| `asking`       | its requests, one after the other on each connection                            |
| `pipelining`   | requests sent without waiting for responses, for `get --pipeline`               |
| `destinations` | connecting elsewhere than the URL says                                          |
| `delivery`     | where the content of responses goes; `progress`: a bar where a person watches   |
| `form`         | the parts of a form                                                             |
| `report`       | a line for each request, the totals; `story`: what -v and -vv tell              |
| `lab`          | `perdure lab`                                                                   |
| `demo`         | `perdure demo`, and `demo_origin`: the application its origin serves            |

These files import lazily, so that `perdure --help` starts no event loop: what only a running command
needs is imported in the function that runs it.
"""

from __future__ import annotations
