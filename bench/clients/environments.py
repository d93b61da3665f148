"""Virtual environments for the peers, made once for each state of their list of requirements."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
TOP: Final = FOLDER.parent.parent
MAKING: Final = threading.Lock()
"""Several threads may want an environment that is not there yet; one makes it."""


def interpreter_of(requirements: str) -> Path:
    """The Python that has these installed; the one that runs this where the list is "".

    Args:
        requirements: a file beside this one, such as "requirements.txt", or an absolute path.

    Raises:
        subprocess.CalledProcessError: pip could not install them; it has said why. Nothing is left behind
            that a later run would take for whole.
    """
    if not requirements:
        return Path(sys.executable)
    with MAKING:
        return _made(FOLDER / requirements)


def _made(listed: Path) -> Path:
    digest = hashlib.sha256(listed.read_bytes()).hexdigest()[:12]
    folder = TOP / "out" / f"clients-{digest}"
    interpreter = folder / "bin" / "python"
    if (folder / "complete").is_file():
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([interpreter, "-m", "pip", "install", *quiet, "-r", listed], check=True)
    (folder / "complete").touch()
    return interpreter
