"""What an operator may set toward origins alone, and what of it contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

from perdure.client.settings import ClientSettings
from perdure.intermediary.gateway import Gateway
from perdure.intermediary.origin_settings import DEFAULTS, OriginSettings, origin_settings_of
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import server_context
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status


def test_settings_of_a_client_say_nothing_of_these() -> None:
    assert origin_settings_of(ClientSettings(max_total=7)) is DEFAULTS
    own = OriginSettings(reuse="safe")
    assert origin_settings_of(own) is own


def test_pool_is_told_of_its_mode_and_its_queue() -> None:
    pool = OriginSettings(reuse="always", max_waiting=0, max_per_origin=3).pool(0.5)
    assert (pool.reuse, pool.max_waiting, pool.max_per_origin, pool.age_phase) == ("always", 0, 3, 0.5)
    assert (DEFAULTS.pool().reuse, DEFAULTS.pool().max_waiting) == ("aggressive", None)


@pytest.mark.parametrize(
    ("settings", "apart"),
    [({}, False), ({"reuse": "never"}, True), ({"proxy_protocol": "v2"}, True), ({"reuse": "safe"}, False)],
)
def test_connections_are_apart_where_they_belong_to_clients(settings: dict[str, Any], apart: bool) -> None:
    assert OriginSettings(**settings).apart is apart


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An authority, the certificate of an origin called inner.example, and that of a gateway."""
    folder = tmp_path_factory.mktemp("files")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority")
    authority.issue_cert("inner.example").private_key_and_cert_chain_pem.write_to_path(folder / "origin")
    own = authority.issue_cert("gateway.example")
    own.cert_chain_pems[0].write_to_path(folder / "cert")
    own.private_key_pem.write_to_path(folder / "key")
    return {name: str(folder / name) for name in ("authority", "origin", "cert", "key")}


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("tls_cert", "tls_key", "server_name"), 200),
        (("tls_cert", "tls_key"), 502),  # the origin is not called 127.0.0.1
        (("server_name",), 502),  # the origin wants to know who we are
    ],
)
def test_origin_is_asked_by_its_name_and_shown_who_we_are(
    play_on_sockets: Play, files: dict[str, str], names: tuple[str, ...], code: int
) -> None:
    told = {"tls_cert": files["cert"], "tls_key": files["key"], "server_name": "inner.example"}
    given: dict[str, Any] = {f"origin_{name}": told[name] for name in names}

    async def scene(stage: Stage) -> None:
        context = server_context(files["origin"], client_ca_file=files["authority"])
        origin = await RawListener.listen(stage.network, tls=context)
        to = f"https://127.0.0.1:{origin.port}"
        async with Gateway(to, "127.0.0.1:0", origin_ca_file=files["authority"], **given) as gateway:
            client = await RawPeer.dial(stage.network, "127.0.0.1", int(gateway.urls[0].rpartition(":")[2]))
            client.send(GET)
            if code == 200:
                inner = await origin.accept()
                await inner.receive_until(b"\r\n\r\n")
                inner.send(OK)
            assert status((await answer(client))[0]) == code
            client.abort()
            await client.wait_lost()
        for inner in origin.peers:
            inner.abort()
            await inner.wait_lost()
        origin.close()

    play_on_sockets(scene)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"origin_reuse": "often"}, "origin_reuse: "),
        ({"origin_max_waiting": -1}, "origin_max_waiting: a number, 0 or more, or"),
        ({"origin_tls_key": "key.pem"}, "origin_tls_key: without tls_cert"),
        ({"origin_min_idle": 2, "origin_reuse": "never"}, "origin_min_idle: "),
        ({"origin_min_idle": 65}, "origin_min_idle: more than max_per_origin"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_that_was_given(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        Gateway("http://127.0.0.1:9", "127.0.0.1:0", **settings)
