"""A folder as an ASGI application: Starlette's file responses, which know ranges, conditions, types.

What is served lies inside the folder, symbolic links resolved. `index.html` stands for its folder;
a folder without one is listed. Names are octets, as the operating system has them.

RFC 9110 §13 (conditional requests), §14 (ranges), as far as Starlette goes.
"""

from __future__ import annotations

import contextlib
import html
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from perdure.core import Error

if TYPE_CHECKING:
    from perdure.server.asgi import Application, Scope

READ_AT_ONCE: Final = 65536
"""A file of so many octets is read with its look-up: one visit to a thread instead of four."""


class NotAFolder(Error):
    """The folder to serve does not exist, or is something else."""


def folder_application(folder: str) -> Application:
    """Make the application that serves a folder.

    Raises:
        NotAFolder: `folder` is no folder that can be read.
    """
    if not os.path.isdir(folder):
        raise NotAFolder(f"cannot serve {folder!r}: not a folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise NotAFolder(f"cannot serve {folder!r}: permission denied")
    return Folder(directory=folder)


class Found:
    """What a path leads to.

    Attributes:
        path: its real path.
        stat_result: what the operating system says of it.
        content: all of it, if it is a small file.
        names: what lies in it, if it is a folder without an index; folders end in "/".
    """

    __slots__ = ("content", "names", "path", "stat_result")

    def __init__(self, path: str, stat_result: os.stat_result) -> None:
        self.path = path
        self.stat_result = stat_result
        self.content: bytes | None = None
        self.names: list[str] | None = None


class Folder(StaticFiles):
    """The application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"a folder knows no {scope['type']}")
        try:
            response = await self._respond(scope)
        except HTTPException as error:
            response = PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        path = os.fsdecode(unquote_to_bytes(scope["raw_path"]))
        try:
            found = await anyio.to_thread.run_sync(self._find, path)
        except PermissionError:
            raise HTTPException(403) from None
        except (OSError, ValueError):  # too long a name, a loop of links; a NUL
            raise HTTPException(404) from None
        if found is None:
            raise HTTPException(404)
        if stat.S_ISDIR(found.stat_result.st_mode) and not path.endswith("/"):
            return _redirect(path, scope)
        if found.names is not None:
            return HTMLResponse(_listing(path, found.names))
        return self._file(found, scope)

    def _find(self, path: str) -> Found | None:
        """Look a path up; called in a thread."""
        inside = os.path.normpath(path.lstrip("/") or ".")
        real_path, stat_result = self.lookup_path(inside)
        if stat_result is None:
            return None
        if stat.S_ISDIR(stat_result.st_mode):
            return self._find_in_folder(path, inside, Found(real_path, stat_result))
        if not stat.S_ISREG(stat_result.st_mode) or path.endswith("/"):
            return None
        return _readable(Found(real_path, stat_result))

    def _find_in_folder(self, path: str, inside: str, folder: Found) -> Found | None:
        if not path.endswith("/"):
            return folder
        index, stat_result = self.lookup_path(os.path.join(inside, "index.html"))
        if stat_result is not None and stat.S_ISREG(stat_result.st_mode):
            return _readable(Found(index, stat_result))
        names = []
        for name in os.listdir(folder.path):
            # A link that leaves the folder is not there, as far as a client can tell.
            stat_result = None
            with contextlib.suppress(OSError):
                _, stat_result = self.lookup_path(os.path.join(inside, name))
            if stat_result is not None:
                names.append(f"{name}/" if stat.S_ISDIR(stat_result.st_mode) else name)
        folder.names = sorted(names, key=lambda name: (not name.endswith("/"), name.lower(), name))
        return folder

    def _file(self, found: Found, scope: Scope) -> Response:
        response = self.file_response(found.path, found.stat_result, scope)
        content = found.content
        if content is None or response.status_code != 200 or _asks_for_a_range(scope):
            return response
        headers: Mapping[str, str] = {**response.headers, "content-length": str(len(content))}
        return Response(content, headers=headers)


def _readable(found: Found) -> Found:
    """Read a small file; see that a large one can be read."""
    with open(found.path, "rb") as file:
        if found.stat_result.st_size <= READ_AT_ONCE:
            content = file.read(READ_AT_ONCE + 1)
            found.content = content if len(content) <= READ_AT_ONCE else None
    return found


def _asks_for_a_range(scope: Scope) -> bool:
    return any(name == b"range" for name, _ in scope["headers"])


def _redirect(path: str, scope: Scope) -> Response:
    """To the same name with a slash: relative, so that no Host and no "//" can lead elsewhere."""
    name = quote(os.fsencode(path.rsplit("/", 1)[-1]))
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"./{name}/" + (f"?{query}" if query else ""), 308)


def _listing(path: str, names: list[str]) -> bytes:
    title = html.escape(f"Listing of {path}")
    lines = [f'<li><a href="./{quote(os.fsencode(name))}">{html.escape(name)}</a></li>\n' for name in names]
    if path.strip("/"):
        lines.insert(0, '<li><a href="../">../</a></li>\n')
    document = (
        f'<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body>\n<h1>{title}</h1>\n<ul>\n{''.join(lines)}</ul>\n</body>\n</html>\n"
    )
    return document.encode("utf-8", "replace")
