"""The parts that `-F` of `perdure get` names: NAME=TEXT, NAME=@FILE (sent as a file), NAME=<FILE (as text).

After a text or a file may stand `;type=MEDIA/TYPE` and `;filename=NAME`, as curl has it. RFC 7578.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from perdure.commands.outcome import CouldNot

_SETTINGS = re.compile(r"(?P<value>.*?)(?P<settings>(?:;(?:type|filename)=[^;]*)*)", re.DOTALL)


class FormPart(NamedTuple):
    """One part; a file is opened anew for each request."""

    name: str
    content: str | Path
    filename: str | None
    """None for a field that is no file."""
    media_type: str | None

    def open(self, stack: ExitStack) -> tuple[str, tuple[str | None, str | IO[bytes], str | None]]:
        """What the client takes; `stack` closes the file."""
        content = self.content
        opened = stack.enter_context(content.open("rb")) if isinstance(content, Path) else content
        return self.name, (self.filename, opened, self.media_type)


def form_part(text: str) -> FormPart:
    """Read one part.

    Raises:
        CouldNot: it has no name, or its file cannot be read.
    """
    name, equals, rest = text.partition("=")
    if not name or not equals:
        raise CouldNot(f"--form: NAME=TEXT or NAME=@FILE expected, got {text!r}")
    match = _SETTINGS.fullmatch(rest)
    assert match is not None, "it matches any text"
    settings = dict(one.split("=", 1) for one in match["settings"].split(";") if one)
    value, filename, media_type = match["value"], settings.get("filename"), settings.get("type")
    if value[:1] not in ("@", "<"):
        return FormPart(name, value, filename, media_type)
    path = Path(value[1:])
    try:
        path.open("rb").close()
    except OSError as error:
        raise CouldNot(f"--form: {path}: {error.strerror}") from error
    return FormPart(name, path, filename or (path.name if value[0] == "@" else None), media_type)
