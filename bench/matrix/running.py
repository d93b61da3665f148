"""Proxies as processes: found or installed, started until they forward, and ended.

Debian's programs are looked for (scripts/peers installs them); wheels are installed into a virtual
environment of the bench's own, made once for each state of requirements.txt.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.clients.environments import TOP
from bench.matrix.origin import READY, Origin
from bench.matrix.subjects import OWN, SEARCH, WHEEL, Subject
from bench.servers.raw import conversation

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
MAKING: Final = threading.Lock()


class CouldNotStart(Exception):
    """A proxy that is not here, or did not forward in time; the message ends with what it logged."""


class Proxy:
    """A proxy that runs.

    Attributes:
        port: of 127.0.0.1.
        process: it leads a session of its own.
    """

    def __init__(self, subject: Subject, port: int, process: subprocess.Popen[bytes]) -> None:
        self.subject = subject
        self.port = port
        self.process = process

    def stop(self) -> None:
        """Ask it to end, as an operator does."""
        self.process.send_signal(self.subject.stop)

    def kill(self) -> None:
        """End its whole session, its workers too; first gently, since some leave things behind otherwise."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def environment_of_wheels() -> Path:
    """The folder of programs of the wheels, installed where they are not.

    Raises:
        subprocess.CalledProcessError: pip could not install them; it has said why.
    """
    with MAKING:
        digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
        folder = TOP / "out" / f"gateways-{digest}"
        if not (folder / "complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            quiet = ["--quiet", "--disable-pip-version-check"]
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install"]
            subprocess.run([*pip, *quiet, "-r", str(REQUIREMENTS)], check=True)
            (folder / "complete").touch()
        return folder / "bin"


def program_of(subject: Subject) -> str:
    """The path of what is run.

    Raises:
        CouldNotStart: it is not on this machine.
    """
    if subject.source == OWN:
        return subject.program
    if subject.source == WHEEL:
        return str(environment_of_wheels() / subject.program)
    path = shutil.which(subject.program, path=SEARCH)
    if path is None:
        raise CouldNotStart(f"{subject.program} is not on this machine; scripts/peers installs it")
    return path


@functools.cache
def version_of(package: str, source: str) -> str:
    """Such as "haproxy 2.6.12-1+deb12u4"."""
    if source == OWN:
        command = [sys.executable, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"]
    elif source == WHEEL:
        interpreter = str(environment_of_wheels() / "python")
        command = [interpreter, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"]
    else:
        command = ["dpkg-query", "-W", "-f", "${Version}", package]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=our_environment())
    return f"{package} {said.stdout.strip()}"


def our_environment() -> dict[str, str]:
    """So that perdure is this tree's."""
    return {**os.environ, "PYTHONPATH": f"{TOP / 'src'}:{TOP}"}


@contextlib.contextmanager
def running(subject: Subject, origin: Origin) -> Iterator[Proxy]:
    """A proxy that forwards to the origin, for the length of a `with`.

    Raises:
        CouldNotStart: it is not here, or does not forward within half a minute.
    """
    program = program_of(subject)
    with tempfile.TemporaryDirectory(prefix="matrix-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        port = free_port()
        command = subject.configure(folder, port, origin.port, program)
        log = folder / "output.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=our_environment() | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        proxy = Proxy(subject, port, process)
        try:
            wait_forwarding(proxy, origin, log)
            yield proxy
        finally:
            proxy.kill()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


def wait_forwarding(proxy: Proxy, origin: Origin, log: Path) -> None:
    """Ask for READY until the origin's own answer comes."""
    authority = f"127.0.0.1:{origin.port}"
    target = f"http://{authority}{READY}" if proxy.subject.forward else READY
    octets = f"GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode()
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and proxy.process.poll() is None:
        with contextlib.suppress(OSError), conversation(proxy.port) as talk:
            talk.send(octets)
            if talk.answer(seconds=2.0).status == 200:
                return
        time.sleep(0.05)
    said = log.read_text(errors="replace")[-2000:]
    raise CouldNotStart(f"{proxy.subject.name} does not forward: {said}")
