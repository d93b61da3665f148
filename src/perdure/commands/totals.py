"""What all servers of one command did, whichever process each of them ran in.

A server that has ended notes its numbers as one line of a nameless file, which the processes below
share: lines are appended whole. What a killed process did is not told.

RFC 9112 §9.5 (why connections end).
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections import Counter

from perdure.commands.outcome import Manner, print_json
from perdure.core import Reason
from perdure.server.registry import Registry

logger = logging.getLogger("perdure.commands")


class Totals:
    """Notes of servers that have ended.

    Entered before there are processes below; `note` in any of them, `tell` when all have ended.
    """

    def __init__(self) -> None:
        self._notes = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 - until it is left

    def __enter__(self) -> Totals:
        return self

    def __exit__(self, *_: object) -> None:
        self._notes.close()

    def note(self, registry: Registry) -> None:
        """Note what one server did."""
        closes = {reason.name: count for reason, count in registry.closes.items()}
        line = json.dumps([registry.opened, registry.requests, closes])
        os.write(self._notes.fileno(), line.encode() + b"\n")

    def tell(self, manner: Manner) -> None:
        """Say what all of them did: to a machine, or with -v to a person; nothing if none was noted."""
        self._notes.seek(0)
        notes = [json.loads(line) for line in self._notes]
        if not notes:
            return
        connections, requests = (sum(note[place] for note in notes) for place in (0, 1))
        closes: Counter[str] = Counter()
        for note in notes:
            closes.update(note[2])
        ends = [(Reason[name], count) for name, count in closes.most_common()]
        if manner.json:
            words = {reason.word: count for reason, count in ends}
            totals = {"connections": connections, "requests": requests, "closes": words}
            print_json({"event": "ended", **totals})
            return
        logger.info("%d connections, %d requests", connections, requests)
        for reason, count in ends:
            logger.info("%7d %-16s %s", count, reason.word, reason)
