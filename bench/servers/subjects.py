"""The servers that are asked, how each is configured, and how it is started.

A server is started for a profile, which says what the settings are to bring about; a subject turns it into
its own words, as far as it has any. Where it has none, its default stands, and the cell says what that does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
APPLICATION: Final = "bench.servers.applications:asgi"
APPLICATION_WSGI: Final = "bench.servers.applications:wsgi"

# Profiles.
DEFAULT: Final = "default"
SHORT: Final = "short"
"""Every time limit that can be set: SHORT_SECONDS."""
FEW_REQUESTS: Final = "few requests"
"""FEW requests on one connection."""
FEW_CONNECTIONS: Final = "few connections"
"""CAP connections at once."""
IDLE: Final = "idle"
"""Thousands of idle connections for as long as it takes to count them."""

SHORT_SECONDS: Final = 2
FEW: Final = 3
CAP: Final = 32

Configure = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Subject:
    """One server.

    Attributes:
        name: the head of its column.
        packages: the distributions whose versions are recorded.
        command: profile and port to the arguments of its program.
        limits: what FEW_REQUESTS and FEW_CONNECTIONS can bring about here.
        program: looked for in the peers' environment; "" is perdure's own interpreter.
        home: the names of environment variables and their values.
    """

    name: str
    packages: tuple[str, ...]
    command: Configure
    limits: frozenset[str] = frozenset()
    program: str = "python"
    environment: dict[str, str] = field(default_factory=dict)

    def can(self, profile: str) -> bool:
        """Whether it has a setting for the profile."""
        return profile in self.limits


def perdure(profile: str, port: int) -> list[str]:
    flags = {
        SHORT: "--idle-timeout 2 --idle-buffer 1 --head-timeout 2 --body-grace 2 --write-timeout 2",
        FEW_REQUESTS: f"--max-requests {FEW}",
        FEW_CONNECTIONS: f"--max-connections {CAP}",
    }
    bind = f"--bind 127.0.0.1:{port}"
    return ["-m", "perdure", "serve", APPLICATION, *bind.split(), *flags.get(profile, "").split()]


def uvicorn(profile: str, port: int) -> list[str]:
    flags = {
        SHORT: "--timeout-keep-alive 2",
        FEW_CONNECTIONS: f"--limit-concurrency {CAP}",
        IDLE: "--timeout-keep-alive 60",
    }
    fixed = f"--host 127.0.0.1 --port {port} --no-access-log --log-level error"
    return ["-m", "uvicorn", APPLICATION, *fixed.split(), *flags.get(profile, "").split()]


def hypercorn(profile: str, port: int) -> list[str]:
    flags = {
        SHORT: ["keep_alive_timeout = 2", "read_timeout = 2"],
        FEW_REQUESTS: [f"keep_alive_max_requests = {FEW}"],
        IDLE: ["keep_alive_timeout = 60"],
    }
    settings = Path(tempfile.gettempdir()) / f"hypercorn-{port}.toml"
    settings.write_text("\n".join(flags.get(profile, [])), encoding="utf-8")
    fixed = f"--bind 127.0.0.1:{port} --worker-class uvloop --log-level critical --config {settings}"
    return ["-m", "hypercorn", *fixed.split(), APPLICATION]


def granian(profile: str, port: int) -> list[str]:
    flags = {
        SHORT: "--http1-header-read-timeout 2000",
        IDLE: "--http1-header-read-timeout 60000 --backlog 4096 --backpressure 4096",
    }
    fixed = f"--interface asgi --host 127.0.0.1 --port {port} --http 1 --log-level critical --no-ws"
    return ["-m", "granian", *fixed.split(), *flags.get(profile, "").split(), APPLICATION]


def gunicorn(worker: str, application: str) -> Configure:
    def command(profile: str, port: int) -> list[str]:
        flags = {
            SHORT: "--keep-alive 2 --timeout 4",
            FEW_CONNECTIONS: f"--worker-connections {CAP}",
            IDLE: "--keep-alive 60 --worker-connections 4000",
        }
        fixed = f"--bind 127.0.0.1:{port} --log-level critical --no-control-socket --worker-class {worker}"
        threads = ["--threads", "16"] if worker == "gthread" else []
        chosen = flags.get(profile, "").split()
        return ["-m", "gunicorn", *fixed.split(), *threads, *chosen, application]

    return command


def aiohttp(profile: str, port: int) -> list[str]:
    settings = {SHORT: {"keepalive_timeout": 2}, IDLE: {"keepalive_timeout": 60}}
    return ["-m", "bench.servers.run_aiohttp", str(port), json.dumps(settings.get(profile, {}))]


def cheroot(profile: str, port: int) -> list[str]:
    settings = {
        SHORT: {"timeout": 2},
        FEW_CONNECTIONS: {"keep_alive_conn_limit": CAP},
        IDLE: {"timeout": 60, "keep_alive_conn_limit": 4000, "request_queue_size": 1024},
    }
    given = {"numthreads": 16, **settings.get(profile, {})}
    return ["-m", "bench.servers.run_cheroot", str(port), json.dumps(given)]


SUBJECTS: Final = (
    Subject(
        "perdure", ("perdure", "uvloop"), perdure, frozenset({FEW_REQUESTS, FEW_CONNECTIONS}), program=""
    ),
    Subject("uvicorn", ("uvicorn", "httptools", "uvloop"), uvicorn, frozenset({FEW_CONNECTIONS})),
    Subject("hypercorn", ("hypercorn", "h11", "uvloop"), hypercorn, frozenset({FEW_REQUESTS})),
    Subject("granian", ("granian", "uvloop"), granian),
    Subject(
        "gunicorn asgi",
        ("gunicorn", "gunicorn_h1c", "uvloop"),
        gunicorn("asgi", APPLICATION),
        frozenset({FEW_CONNECTIONS}),
    ),
    Subject(
        "gunicorn gthread",
        ("gunicorn", "gunicorn_h1c"),
        gunicorn("gthread", APPLICATION_WSGI),
        frozenset({FEW_CONNECTIONS}),
    ),
    Subject("aiohttp", ("aiohttp", "uvloop"), aiohttp),
    Subject("cheroot", ("cheroot",), cheroot, frozenset({FEW_CONNECTIONS})),
)


class CouldNotStart(Exception):
    """A server that was started did not listen in time."""


class Running:
    """A server that listens.

    Attributes:
        port: of 127.0.0.1.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, subject: Subject, profile: str) -> None:
        self.process = process
        self.port = port
        self.subject = subject
        self.profile = profile

    def tree(self) -> list[int]:
        """The process and all below it."""
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    text = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
                    found.extend(int(word) for word in text.split())
        return found

    def cpu_seconds(self) -> float:
        """What all its processes have used so far, in user and in kernel mode."""
        ticks = 0
        for pid in self.tree():
            words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_octets(self) -> int:
        """What all its processes hold in memory."""
        pages = (Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1] for pid in self.tree())
        return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE")

    def terminate(self) -> None:
        """Ask it to end, as an operator does."""
        self.process.send_signal(signal.SIGTERM)

    def wait_end(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextlib.contextmanager
def running(subject: Subject, profile: str, interpreter: Path, pinned: bool = False) -> Iterator[Running]:
    """Start a server, and end it and all its processes afterwards.

    Raises:
        CouldNotStart: it does not listen within fifteen seconds.
    """
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    pin = ["taskset", "-c", "0"] if pinned else []
    process = subprocess.Popen(
        [*pin, str(interpreter), *subject.command(profile, port)],
        cwd=TOP,
        env={**os.environ, **subject.environment, "PYTHONPATH": str(TOP)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Running(process, port, subject, profile)
    try:
        wait_listening(server)
        yield server
    finally:
        end(process)


def wait_listening(server: Running) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1):
            return
        time.sleep(0.05)
    raise CouldNotStart(f"{server.subject.name}: {server.process.args!r} does not listen on {server.port}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a whole session of ours, its workers too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# --- environments and versions -------------------------------------------------------------


def environment_of_peers() -> Path:
    """A virtual environment with the peers in it, made once for each state of requirements.txt."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = TOP / "out" / f"servers-{digest}"
    interpreter = folder / "bin" / "python"
    if (folder / "complete").is_file():
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([interpreter, "-m", "pip", "install", *quiet, "-r", REQUIREMENTS], check=True)
    (folder / "complete").touch()
    return interpreter


def interpreter_for(subject: Subject) -> Path:
    return environment_of_peers() if subject.program else Path(sys.executable)


def versions(subject: Subject) -> str:
    """Such as "uvicorn 0.54.0, httptools 0.9.0"."""
    program = "import sys, importlib.metadata as m; print(*(m.version(name) for name in sys.argv[1:]))"
    found = run_quietly([str(interpreter_for(subject)), "-c", program, *subject.packages]).split()
    return ", ".join(f"{name} {version}" for name, version in zip(subject.packages, found, strict=True))


def run_quietly(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
