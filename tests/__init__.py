"""The tests of perdure; a package, so that no other `tests` on the path can stand in for it."""

from __future__ import annotations
