"""The Link field: where else to look, by relation. RFC 8288 §3."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LINK: Final = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?)*)")
_PARAMETER: Final = re.compile(r";\s*([^\s=;,]+)(?:\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?")


def links_of(values: Iterable[str]) -> dict[str, dict[str, str]]:
    """The links of some Link lines, by relation; one without any by its URL.

    A link of two relations stands under each; of two links with one relation the first stays.
    RFC 8288 §3.
    """
    found: dict[str, dict[str, str]] = {}
    for value in values:
        for match in _LINK.finditer(value):
            link = {"url": match[1]}
            for name, quoted, token in _PARAMETER.findall(match[2]):
                link.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or token)
            for relation in link.get("rel", "").split() or [match[1]]:
                found.setdefault(relation, link)
    return found
