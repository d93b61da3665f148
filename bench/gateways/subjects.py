"""The gateways: how each is configured and started.

All have one worker and one thread, keep connections alive on both sides without counting requests,
write no log, and add Via and X-Forwarded-For, -Proto and -Host.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.clients.environments import interpreter_of

FOLDER: Final = Path(__file__).resolve().parent
OURS: Final = ("perdure", "hooks", "relay")
NAMES: Final = ("perdure", "haproxy", "nginx", "hooks", "relay", "aiohttp", "mitmproxy")

NGINX: Final = """{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 8000; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 75 75;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; proxy_max_temp_file_size 0;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://origin;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header Via "1.1 nginx"; proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; }} }} }}
"""
HAPROXY: Final = """global
  maxconn 8000
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}
  default_backend origin
backend origin
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Via "1.1 haproxy"
  http-response set-header Via "1.1 haproxy"
  server origin 127.0.0.1:{origin}
"""


def command_of(name: str, port: int, origin: int, folder: Path) -> list[str] | None:
    """How to start a gateway from `port` to the origin at `origin`; None where it cannot be had."""
    ports = [str(port), str(origin)]
    if name in OURS:
        return [sys.executable, "-m", "bench.gateways.with_perdure", name, *ports]
    if name == "aiohttp":
        return [sys.executable, "-m", "bench.gateways.with_aiohttp", *ports] if _has_aiohttp() else None
    if name == "mitmproxy":
        python = _mitmproxy_python()
        return None if python is None else [str(python.parent / "mitmdump"), *_mitmdump(port, origin, folder)]
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    file = folder / f"{name}.conf"
    user = "" if os.geteuid() else "user root;"
    template = NGINX if name == "nginx" else HAPROXY
    file.write_text(template.format(port=port, origin=origin, folder=folder, user=user))
    if name == "nginx":
        return [program, "-c", str(file), "-e", str(folder / "error.log")]
    return [program, "-db", "-f", str(file)]


def _mitmdump(port: int, origin: int, folder: Path) -> list[str]:
    settings = {"confdir": folder, "flow_detail": 0, "keep_host_header": "true", "stream_large_bodies": "64k"}
    flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return ["-q", "--mode", f"reverse:http://127.0.0.1:{origin}@127.0.0.1:{port}", *flags]


@functools.cache
def _has_aiohttp() -> bool:
    found = subprocess.run([sys.executable, "-c", "import aiohttp, uvloop"], capture_output=True, check=False)
    return found.returncode == 0


@functools.cache
def _mitmproxy_python() -> Path | None:
    """The environment that has mitmproxy, which is made at the first call; None where it cannot be."""
    try:
        return interpreter_of(str(FOLDER / "requirements.txt"))
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"mitmproxy cannot be installed: {error}", file=sys.stderr)
        return None
