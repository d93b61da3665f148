"""The clients: which module asks with each, and where it is installed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Final

from bench.clients.environments import interpreter_of

PEERS: Final = "requirements.txt"
NIQUESTS: Final = "requirements-niquests.txt"


@dataclass(frozen=True)
class Subject:
    """One client.

    Attributes:
        module: asks with it, such as "bench.clients.with_aiohttp".
        requirements: the list that it is installed from; "" for the environment that runs this.
        packages: whose versions matter.
    """

    name: str
    module: str
    requirements: str = ""
    packages: tuple[str, ...] = ("perdure",)

    @property
    def ours(self) -> bool:
        return not self.requirements


SUBJECTS: Final = (
    Subject("perdure", "bench.clients.with_perdure"),
    Subject("perdure sync", "bench.clients.with_perdure_sync"),
    Subject("aiohttp", "bench.clients.with_aiohttp", PEERS, ("aiohttp",)),
    Subject("httpx", "bench.clients.with_httpx", PEERS, ("httpx", "httpcore", "h11")),
    Subject("httpx2", "bench.clients.with_httpx2", PEERS, ("httpx2", "httpcore2", "h11")),
    Subject("requests", "bench.clients.with_requests", PEERS, ("requests", "urllib3")),
    Subject("niquests", "bench.clients.with_niquests", NIQUESTS, ("niquests", "urllib3-future")),
    Subject("pycurl", "bench.clients.with_pycurl", PEERS, ("pycurl",)),
)
OURS: Final = tuple(one for one in SUBJECTS if one.ours)


def versions(subject: Subject) -> str:
    """Such as "httpx 0.28.1, httpcore 1.0.9, h11 0.16.0"; pycurl names its libcurl."""
    program = (
        "import sys, importlib.metadata as m\n"
        "for name in sys.argv[1:]: print(name, m.version(name))\n"
        "if 'pycurl' in sys.argv[1:]: import pycurl; print(pycurl.version.split()[1].replace('/', ' '))"
    )
    interpreter = str(interpreter_of(subject.requirements))
    command = [interpreter, "-c", program, *subject.packages]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return ", ".join(shown.split("\n")[:-1])
