"""What a request may use that cannot be sent again: the modes of reuse.

A connection that lies idle may be closed by the peer at any moment. Who may send the request again does
not mind. For the others there are four degrees of trust, whose names are HAProxy's (`http-reuse`):

| mode         | first request of a client's connection | later ones               | connections         |
|--------------|----------------------------------------|--------------------------|---------------------|
| `never`      | one that was just dialled              | its own, where proven    | of one client alone |
| `safe`       | one that was just dialled              | any, where proven        | shared              |
| `aggressive` | any, where proven                      | any, where proven        | shared              |
| `always`     | any within its limits                  | any within its limits    | shared              |

In `safe` a client whose own connection is new, so that it would not ask again by itself, is never the one
who finds out that a connection has gone; a later request may be lost only as it could be lost to an origin
without an intermediary. HAProxy calls a connection good for `aggressive` once it was reused; here it is good
where connections of this origin are proven to live longer than this one has lain (`pool_origin`), which is
more: so that is the default, and the only mode of a user agent.

RFC 9110 §9.2.2, RFC 9112 §9.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.core.pool_entries import ANY, FRESH, PROVEN, Need, Reuse

NEEDS: Final[Mapping[Reuse, tuple[Need, Need]]] = {
    "never": (PROVEN, FRESH),
    "safe": (PROVEN, FRESH),
    "aggressive": (PROVEN, PROVEN),
    "always": (ANY, ANY),
}
"""What a request needs that may not be repeated: a later one of its client's connection, the first one."""
