"""The scenarios: one file each; `scenario` says what each declares."""

from __future__ import annotations
