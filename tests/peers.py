"""Real programs for tests: each on an ephemeral loopback port, in a folder of its own, ended by its id.

Every function here is a context manager that yields a `Peer` which already accepts connections:

    with peers.apache(keep_alive_timeout=1) as origin:
        ...origin.url, origin.port, origin.log()

A program that is not on this machine skips the test; with PERDURE_REQUIRE_PEERS=1 it fails it.
`tests/peers.toml` names the programs and the packages they come from.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
TABLE = Path(__file__).with_name("peers.toml")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
APACHE_MODULES = Path("/usr/lib/apache2/modules")
READY_SECONDS = 20.0
PAUSE_SECONDS = 0.02
STOP_SECONDS = 5.0
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
PAGES = {"index.html": b"<p>hello</p>\n", "small.txt": b"small\n", "large.bin": bytes(range(256)) * 1024}


class PeerFailed(Exception):
    """A program that is present did not come up; the message ends with what it logged."""


class Peer:
    """A running program.

    Attributes:
        name: the name in `peers.toml`, or of the Python program.
        port: the TCP port on 127.0.0.1 where it accepts connections.
        folder: its own folder, removed afterwards; `folder / "pages"` is what an origin serves.
        process: the program; it leads a session of its own.
    """

    def __init__(self, name: str, port: int, folder: Path, command: list[str]) -> None:
        self.name = name
        self.port = port
        self.folder = folder
        self._log = folder / "output.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Such as "http://127.0.0.1:40001", without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"

    def log(self) -> str:
        """What the program has written to its standard output and error so far."""
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        """Return once a connection is accepted. Raises PeerFailed if the program ends or takes too long."""
        for _ in range(int(READY_SECONDS / PAUSE_SECONDS)):
            if accepts_connections(self.port):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self.process.wait(PAUSE_SECONDS)
                raise PeerFailed(f"{self.name} ended with status {status}:\n{self.log()}")
        raise PeerFailed(f"{self.name} accepted no connection in {READY_SECONDS} s:\n{self.log()}")

    def stop(self) -> None:
        """Ask the program to end, and end its whole session if it has not in a few seconds."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def find(name: str) -> str | None:
    """The path of a program named in `peers.toml`, or None where it is absent."""
    with TABLE.open("rb") as file:
        binary: str = tomllib.load(file)[name]["binary"]
    return shutil.which(binary, path=SEARCH)


def require(name: str) -> str:
    """The path of a program named in `peers.toml`; skips, or fails, the test where it is absent."""
    path = find(name)
    if path is not None:
        return path
    if os.environ.get("PERDURE_REQUIRE_PEERS") == "1":
        pytest.fail(f"{name} is not on this machine, and PERDURE_REQUIRE_PEERS=1 says that it must be")
    pytest.skip(f"{name} is not on this machine; scripts/peers installs it")


def accepts_connections(port: int) -> bool:
    """True where something on 127.0.0.1 accepts a connection on the port now."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str, command: Callable[[Path, int], list[str]], pages: Mapping[str, bytes] = PAGES
) -> Iterator[Peer]:
    """Start a program and stop it afterwards.

    Args:
        name: what to call it.
        command: given the folder and the port, writes the configuration there and returns the argv.
        pages: files by name, written to the folder "pages".

    Another program may take the free port first, so a program that ends at once gets two more tries.
    """
    with tempfile.TemporaryDirectory(prefix=f"perdure-{name}-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        folder.chmod(0o755)  # servers that drop root must still read it
        write_pages(folder / "pages", pages)
        peer = start(name, folder, command)
        try:
            yield peer
        finally:
            peer.stop()


def start(name: str, folder: Path, command: Callable[[Path, int], list[str]]) -> Peer:
    """Start a program on a free port and wait until it accepts connections; three tries."""
    for _ in range(2):
        with contextlib.suppress(PeerFailed):
            return start_once(name, folder, command)
    return start_once(name, folder, command)


def start_once(name: str, folder: Path, command: Callable[[Path, int], list[str]]) -> Peer:
    """Start a program on a free port and wait until it accepts connections."""
    port = free_port()
    peer = Peer(name, port, folder, command(folder, port))
    try:
        peer.wait_until_ready()
    except BaseException:
        peer.stop()
        raise
    return peer


def write_pages(folder: Path, pages: Mapping[str, bytes]) -> None:
    """Write the files that an origin serves, readable by a server that dropped root."""
    folder.mkdir(mode=0o755)
    for name, content in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)


def nginx(server: str = "", http: str = "") -> contextlib.AbstractContextManager[Peer]:
    """nginx, serving its pages; `server` and `http` are more directives for those blocks.

    For a gateway, pass an upstream in `http` and a location in `server`.
    """
    binary = require("nginx")

    def command(folder: Path, port: int) -> list[str]:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"{'user root;' if ROOT else ''}\nworker_processes 1;\npid {folder}/pid;\n"
            "daemon off;\nerror_log stderr;\nevents { worker_connections 256; }\n"
            f"http {{\naccess_log off;\n{paths}{http}\n"
            f"server {{\nlisten {LOOPBACK}:{port};\nroot {folder}/pages;\n{server}\n}}\n}}\n"
        )
        return [binary, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]

    return running("nginx", command)


def apache(
    keep_alive_timeout: float = 5, max_requests: int = 100, modules: tuple[str, ...] = (), more: str = ""
) -> contextlib.AbstractContextManager[Peer]:
    """Apache httpd with the event MPM and keep-alive on, serving its pages.

    Args:
        keep_alive_timeout: seconds; it is sent as a hint, and fractions count as milliseconds.
        max_requests: MaxKeepAliveRequests; 0 for no limit.
        modules: more modules, such as ("proxy", "proxy_http").
        more: more directives.
    """
    binary = require("apache2")
    loaded = ("mpm_event", "authz_core", "mime", "dir", *modules)

    def command(folder: Path, port: int) -> list[str]:
        lines = [f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in loaded]
        lines += ["User www-data", "Group www-data"] if ROOT else []
        lines += [
            f"ServerRoot {folder}",
            f"DefaultRuntimeDir {folder}",
            f"PidFile {folder}/pid",
            f"Mutex file:{folder} default",
            "ErrorLog /dev/stderr",
            "ServerName localhost",
            f"Listen {LOOPBACK}:{port}",
            f"DocumentRoot {folder}/pages",
            "TypesConfig /dev/null",
            "DirectoryIndex index.html",
            "StartServers 1",
            "KeepAlive On",
            f"KeepAliveTimeout {round(keep_alive_timeout * 1000)}ms",
            f"MaxKeepAliveRequests {max_requests}",
            f"<Directory {folder}/pages>\nRequire all granted\n</Directory>",
            more,
        ]
        (folder / "apache.conf").write_text("\n".join(lines) + "\n")
        return [binary, "-f", str(folder / "apache.conf"), "-DFOREGROUND"]

    return running("apache2", command)


def lighttpd(more: str = "") -> contextlib.AbstractContextManager[Peer]:
    """lighttpd, serving its pages; `more` is more configuration."""
    binary = require("lighttpd")

    def command(folder: Path, port: int) -> list[str]:
        (folder / "lighttpd.conf").write_text(
            f'server.document-root = "{folder}/pages"\nserver.bind = "{LOOPBACK}"\nserver.port = {port}\n'
            f'index-file.names = ( "index.html" )\n{more}\n'
        )
        return [binary, "-D", "-f", str(folder / "lighttpd.conf")]

    return running("lighttpd", command)


def haproxy(
    origin_port: int, defaults: str = "", backend: str = ""
) -> contextlib.AbstractContextManager[Peer]:
    """HAProxy as a gateway to an origin on loopback; more lines for `defaults` and for the backend."""
    binary = require("haproxy")

    def command(folder: Path, port: int) -> list[str]:
        (folder / "haproxy.cfg").write_text(
            "global\n    maxconn 256\n    nbthread 1\n"
            "defaults\n    mode http\n    timeout connect 5s\n"
            f"    timeout client 30s\n    timeout server 30s\n    {defaults}\n"
            f"frontend clients\n    bind {LOOPBACK}:{port}\n    default_backend origins\n"
            f"backend origins\n    server origin {LOOPBACK}:{origin_port}\n    {backend}\n"
        )
        return [binary, "-db", "-f", str(folder / "haproxy.cfg")]

    return running("haproxy", command)


def squid(more: str = "") -> contextlib.AbstractContextManager[Peer]:
    """Squid as a forward proxy that stores nothing and lets anybody on loopback through."""
    binary = require("squid")

    def command(folder: Path, port: int) -> list[str]:
        if ROOT:
            shutil.chown(folder, "proxy")
        (folder / "squid.conf").write_text(
            f"http_port {LOOPBACK}:{port}\nhttp_access allow localhost\nhttp_access deny all\n"
            "cache deny all\ncache_mem 8 MB\naccess_log none\ncache_store_log none\n"
            f"cache_log {folder}/cache.log\npid_filename none\ncoredump_dir {folder}\n"
            "netdb_filename none\npinger_enable off\nshutdown_lifetime 0 seconds\n"
            f"max_filedescriptors 1024\nvisible_hostname localhost\n{more}\n"
        )
        return [binary, "-N", "-d", "1", "-f", str(folder / "squid.conf")]

    return running("squid", command)


def varnish(
    origin_port: int, parameters: Mapping[str, str] | None = None
) -> contextlib.AbstractContextManager[Peer]:
    """Varnish as a caching gateway to an origin on loopback, with more run-time parameters."""
    binary = require("varnish")
    more = [word for name, value in (parameters or {}).items() for word in ("-p", f"{name}={value}")]

    def command(folder: Path, port: int) -> list[str]:
        (folder / "state").mkdir(exist_ok=True)
        arguments = ["-F", "-j", "none", "-a", f"{LOOPBACK}:{port}", "-b", f"{LOOPBACK}:{origin_port}"]
        return [binary, *arguments, "-n", str(folder / "state"), "-s", "malloc,16m", *more]

    return running("varnish", command)


def tinyproxy(more: str = "") -> contextlib.AbstractContextManager[Peer]:
    """tinyproxy as a forward proxy, which persists with nobody."""
    binary = require("tinyproxy")

    def command(folder: Path, port: int) -> list[str]:
        (folder / "tinyproxy.conf").write_text(
            f"Port {port}\nListen {LOOPBACK}\nTimeout 30\nMaxClients 32\nAllow {LOOPBACK}\n{more}\n"
        )
        return [binary, "-d", "-c", str(folder / "tinyproxy.conf")]

    return running("tinyproxy", command)


def http_server(protocol: str = "HTTP/1.0") -> contextlib.AbstractContextManager[Peer]:
    """Python's own http.server, serving its pages; HTTP/1.0 without keep-alive unless told otherwise."""

    def command(folder: Path, port: int) -> list[str]:
        module = [sys.executable, "-m", "http.server", "--bind", LOOPBACK, "--protocol", protocol]
        return [*module, "--directory", str(folder / "pages"), str(port)]

    return running("http.server", command)


def uvicorn(application: str, keep_alive_seconds: int = 5) -> contextlib.AbstractContextManager[Peer]:
    """uvicorn, serving an ASGI application named "package.module:name" from the project's folder."""

    def command(folder: Path, port: int) -> list[str]:
        where = ["--app-dir", str(Path(__file__).parent.parent), "--host", LOOPBACK, "--port", str(port)]
        how = ["--log-level", "warning", "--timeout-keep-alive", str(keep_alive_seconds)]
        return [sys.executable, "-m", "uvicorn", *where, *how, application]

    return running("uvicorn", command)
