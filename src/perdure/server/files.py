"""A folder as an ASGI application: Starlette's file serving, which knows ranges, conditions, types.

What is served lies inside the folder, symbolic links resolved; `index.html` stands for its folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from perdure.core import Error

if TYPE_CHECKING:
    from perdure.server.asgi import Application


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
    return Starlette(routes=[Mount("/", StaticFiles(directory=folder, html=True))])
