"""The backend of a stage in network namespaces: each host has the kernel's own TCP, and real links to others.

    host A (namespace)              middle (namespace)                 host B (namespace)
    10.77.0.1 ── h0 ══veth══ a0 ── carrier: delay, rate, loss ── b0 ══veth══ h0 ── 10.77.0.2

All hosts are in this process and on one event loop, so one clock tells the time of all; only the carrier is a
process of its own. No namespace has a name: everything ends with this process, however it ends. Addresses of
neighbours are known from the beginning, so that no question of ARP is counted as part of a handshake.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeVar

from perdure.lab.backend import CannotStage
from perdure.lab.carrier import LENGTH, settings_of
from perdure.lab.lanes import Lane
from perdure.lab.link import Carried, Link, unpack
from perdure.lab.packets import lanes_of, packets_of
from perdure.wire.frames import do_it_all
from perdure.wire.namespace import Namespace, NamespaceNetwork, NamespacesUnavailable
from perdure.wire.network import Network, run

T = TypeVar("T")

KERNEL: Final = {
    "net.ipv6.conf.all.disable_ipv6": 1,  # its neighbours would talk on the link
    "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv4.tcp_no_metrics_save": 1,  # a new connection is new: nothing is remembered of earlier ones
}
"""How the kernel of every host differs from its defaults."""
STOPPING_SECONDS: Final = 5.0


class NamespaceBackend:
    """Hosts are network namespaces; see `backend.Backend`.

    Attributes:
        carried: every frame that the links carried since the backend was opened, as far as it was taken.
    """

    name = "namespaces"
    kernel_tcp = True
    real_programs = True

    def __init__(self) -> None:
        self.carried: list[Carried] = []
        self._hosts: dict[str, Namespace] = {}
        self._middle: Namespace | None = None
        self._carrier: subprocess.Popen[bytes] | None = None

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it on asyncio's own loop: uvloop's time is as coarse as a millisecond."""
        return run(main, prefer_uvloop=False)

    async def open(self, hosts: Sequence[str], links: Sequence[Link], congestion: str) -> None:
        """Make hosts, interfaces and the carrier; set the congestion control of every host."""
        try:
            self._middle = Namespace.create("middle")
            known = self._middle.kernel("net.ipv4.tcp_available_congestion_control").split()
            if congestion not in known:
                raise CannotStage(f"congestion control {congestion!r}: this kernel has {', '.join(known)}")
            for name in ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6"):
                self._middle.set_kernel(name, 1)
            for host in hosts:
                self._hosts[host] = self._make_host(host)
            for index, link in enumerate(links):
                self._join(self._middle, index, link, congestion)
            self._start_carrier(self._middle, links)
            await self._ask()
        except (NamespacesUnavailable, OSError, EOFError) as error:
            raise CannotStage(f"no hosts in network namespaces: {error}") from error

    def _make_host(self, name: str) -> Namespace:
        host = Namespace.create(name)
        for parameter, value in KERNEL.items():
            host.set_kernel(parameter, value)
        host.run("ip", "link", "set", "dev", "lo", "up")
        return host

    def _join(self, middle: Namespace, index: int, link: Link, congestion: str) -> None:
        """Give both hosts of a link an interface, whose other end is in the middle.

        The route says which congestion control its connections have: as the parameter of a namespace the
        kernel takes only what the whole machine allows to everybody.
        """
        near, far = self._hosts[link.a], self._hosts[link.b]
        sides = ((near, f"a{index}"), (far, f"b{index}"))
        for host, inner in sides:
            command = ("ip", "link", "add", "name", inner, "type", "veth", "peer", "name", f"h{index}")
            middle.run(*command, "netns", host.path)
            middle.run("ip", "link", "set", "dev", inner, "up")
            with middle.entered():
                do_it_all(inner)
            with host.entered():
                do_it_all(f"h{index}")
        hardware = {host.name: _hardware_address(host, f"h{index}") for host, _ in sides}
        for host, other in ((near, far), (far, near)):
            own, peer = self.address(host.name), self.address(other.name)
            script = (
                f"address replace {own}/32 dev h{index}\n"
                f"link set dev h{index} up\n"
                f"route add {peer}/32 dev h{index} src {own} congctl {congestion}\n"
                f"neighbour add {peer} lladdr {hardware[other.name]} dev h{index} nud permanent\n"
            )
            host.run("ip", "-batch", "-", text=script)

    def _start_carrier(self, middle: Namespace, links: Sequence[Link]) -> None:
        with_interfaces = [(link, f"a{index}", f"b{index}") for index, link in enumerate(links)]
        command = [sys.executable, "-m", "perdure.lab.carrier", settings_of(with_interfaces)]
        with middle.entered():
            self._carrier = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )

    async def close(self) -> None:
        """Stop the carrier and let go of the hosts."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            assert carrier.stdin is not None
            assert carrier.stdout is not None
            carrier.stdin.close()
            try:
                await asyncio.to_thread(carrier.wait, STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                carrier.kill()
                carrier.wait()
            carrier.stdout.close()
        for host in self._hosts.values():
            host.close()
        if self._middle is not None:
            self._middle.close()

    def network(self, host: str) -> Network:
        """Sockets of this host."""
        return NamespaceNetwork(self._hosts[host])

    def address(self, host: str) -> str:
        """10.77.0.1 for the first host, and so on."""
        return f"10.77.0.{list(self._hosts).index(host) + 1}"

    async def shape(self, index: int, link: Link) -> None:
        """Let a link be another from now on."""
        await self._ask("shape", index, asdict(link))

    async def take(self, began_at: float) -> list[Lane]:
        """Make lanes of the frames that were carried."""
        carried = unpack(await self._ask("take"))
        self.carried += carried
        names = {self.address(host): host for host in self._hosts}
        return lanes_of(packets_of(carried), began_at, names)

    def start(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in a host."""
        try:
            with self._hosts[host].entered():
                return subprocess.Popen(command, **options)
        except OSError as error:
            raise CannotStage(f"{command[0]}: {error.strerror}") from error

    def waiting_connections(self, host: str) -> int | None:
        """As the host's kernel counts them."""
        with self._hosts[host].entered(), open("/proc/thread-self/net/sockstat", encoding="ascii") as file:
            found = re.search(r"^TCP:.* tw (\d+)", file.read(), re.MULTILINE)
        return int(found[1]) if found else None

    async def _ask(self, *command: Any) -> bytes:
        """Give the carrier a command and return its answer; without one, wait until it is ready."""
        carrier = self._carrier
        assert carrier is not None
        assert carrier.stdin is not None
        if command:
            carrier.stdin.write(json.dumps(command).encode() + b"\n")
            carrier.stdin.flush()
        return await asyncio.to_thread(_read_answer, carrier)


def _read_answer(carrier: subprocess.Popen[bytes]) -> bytes:
    assert carrier.stdout is not None
    head = carrier.stdout.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError("the process that carries frames ended")
    (length,) = LENGTH.unpack(head)
    return carrier.stdout.read(length)


def _hardware_address(host: Namespace, interface: str) -> str:
    (found,) = json.loads(host.run("ip", "-json", "link", "show", "dev", interface))
    return str(found["address"])
