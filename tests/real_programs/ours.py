"""Our own commands as programs: `perdure serve`, `gateway` and `proxy` on ephemeral ports."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests import peers

ROOT = Path(__file__).parent.parent.parent
COMMAND_SECONDS = 120
# env, so that the applications of the tests are found from any folder.
COMMAND = ("env", f"PYTHONPATH={ROOT / 'src'}:{ROOT}", sys.executable, "-m", "perdure")


def serve(target: str, *flags: str) -> AbstractContextManager[peers.Peer]:
    """`perdure serve TARGET`; a target "pages" is the peer's own folder of pages."""

    def command(folder: Path, port: int) -> list[str]:
        what = str(folder / "pages") if target == "pages" else target
        where = ["--bind", f"{peers.LOOPBACK}:{port}"]
        return [*COMMAND, "serve", what, *where, *flags]

    return peers.running("perdure-serve", command)


def gateway(*origins: str, flags: tuple[str, ...] = ()) -> AbstractContextManager[peers.Peer]:
    """`perdure gateway --to ORIGIN...`."""

    def command(folder: Path, port: int) -> list[str]:
        to = [word for origin in origins for word in ("--to", origin)]
        where = ["--bind", f"{peers.LOOPBACK}:{port}"]
        return [*COMMAND, "gateway", *to, *where, *flags]

    return peers.running("perdure-gateway", command)


def proxy(*flags: str) -> AbstractContextManager[peers.Peer]:
    """`perdure proxy`, which asks nobody on this machine unless a flag allows it."""

    def command(folder: Path, port: int) -> list[str]:
        return [*COMMAND, "proxy", "--bind", f"{peers.LOOPBACK}:{port}", *flags]

    return peers.running("perdure-proxy", command)


def perdure(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    return run(*COMMAND, *arguments)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run any command to its end; its output is text."""
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )


class Most:
    """The greatest number that was seen."""

    def __init__(self) -> None:
        self.seen = 0


@contextmanager
def most_connections_to(port: int) -> Iterator[Most]:
    """Count, again and again, the established connections that a local server has (Linux)."""
    most, over = Most(), threading.Event()
    # Local address, in hexadecimal, and the state 01: ESTABLISHED (proc_net_tcp.txt of Linux).
    line = re.compile(rf"^ *\d+: [0-9A-F]+:{port:04X} [0-9A-F:]+ 01 ", re.MULTILINE)

    def look() -> None:
        while not over.wait(0.002):
            most.seen = max(most.seen, len(line.findall(Path("/proc/net/tcp").read_text())))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        over.set()
        looking.join()


def peak_memory(peer: peers.Peer) -> int:
    """The greatest resident size the process has had, in octets (VmHWM of Linux)."""
    return _memory(peer, "VmHWM")


def reset_peak_memory(peer: peers.Peer) -> int:
    """Forget the greatest size so far; the resident size now, in octets."""
    Path(f"/proc/{peer.process.pid}/clear_refs").write_text("5")
    return _memory(peer, "VmRSS")


def _memory(peer: peers.Peer, name: str) -> int:
    for line in Path(f"/proc/{peer.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
