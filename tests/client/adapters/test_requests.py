"""Sessions of requests over our connections: what they ask, what they get, what they are told."""

from __future__ import annotations

import copy
import io
import pickle
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from urllib3 import Retry

import perdure
from perdure.client.adapters.requests import Adapter
from perdure.client.urls import locate
from perdure.core.reason import Reason
from perdure.wire.scripted import (
    CLIENT_END,
    FIN,
    REFUSED,
    RST,
    UNANSWERED,
    NoAnswer,
    Pause,
    Script,
    ScriptedNetwork,
    Until,
)
from tests.client.adapters.conftest import CUT, HELLO, silent_after
from tests.client.adapters.local_origin import Origin
from tests.client.conftest import BLANK, Peer, answer, last_words, says

URL = "http://origin.test/"


def session_of(*scripts: Peer | NoAnswer, **arguments: Any) -> tuple[requests.Session, ScriptedNetwork]:
    """A session whose connections are these scripts."""
    network = ScriptedNetwork(scripts)
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter(network=network, **arguments))
    return session, network


def adapter_of(session: requests.Session) -> Adapter:
    adapter = session.get_adapter(URL)
    assert isinstance(adapter, Adapter)
    return adapter


def heard(network: ScriptedNetwork, connection: int = 0) -> bytes:
    return bytes(network.connections[connection].client_octets)


def test_a_request_goes_out_as_requests_made_it() -> None:
    session, network = session_of(says(HELLO))
    response = session.get(URL + "a b?c=%2F", params={"d": "ü"}, headers={"X-Own": "one"})
    assert (response.status_code, response.text, response.reason) == (200, "hello", "OK")
    head = heard(network).split(b"\r\n")
    assert head[0] == b"GET /a%20b?c=%2F&d=%C3%BC HTTP/1.1"
    names = [line.partition(b":")[0] for line in head[1:-2]]
    assert names == [b"Host", b"User-Agent", b"Accept-Encoding", b"Accept", b"X-Own"]
    assert b"python-requests" in heard(network)


def test_requests_share_a_connection_through_redirects() -> None:
    moved = answer(b"elsewhere", b"Location: /new", status=b"302 Found")
    session, network = session_of(says(moved, HELLO, HELLO))
    response = session.get(URL + "old")
    assert [old.status_code for old in response.history] == [302]
    assert session.get(URL).text == "hello"
    assert len(network.connections) == 1
    (counted,) = adapter_of(session).statistics()
    assert (counted.dialled, counted.reused) == (1, 2)


def test_cookies_are_taken_from_every_line() -> None:
    session, network = session_of(says(answer(b"", b"Set-Cookie: a=1", b"Set-Cookie: b=2"), HELLO))
    assert dict(session.get(URL).cookies) == {"a": "1", "b": "2"}
    session.get(URL)
    assert b"Cookie: a=1; b=2\r\n" in heard(network)


# --- content -------------------------------------------------------------------------------


def until_last_chunk() -> Script:
    yield Until(b"0\r\n\r\n")
    yield HELLO
    yield CLIENT_END


def test_a_generator_is_sent_in_chunks() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        yield b"second"

    session, network = session_of(until_last_chunk)
    assert session.post(URL, data=pieces()).text == "hello"
    head, _, content = heard(network).partition(BLANK)
    assert head.count(b"Transfer-Encoding: chunked") == 1
    assert content == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


def test_a_file_is_sent_with_its_length() -> None:
    session, network = session_of(says(HELLO))
    session.put(URL, data=io.BytesIO(b"x" * 1000))
    head, _, content = heard(network).partition(BLANK)
    assert head.count(b"Content-Length: 1000") == 1
    assert content == b"x" * 1000


@pytest.mark.parametrize(("body", "content"), [("text ü", "text ü".encode()), (b"octets", b"octets")])
def test_text_and_octets_are_sent_as_they_are(body: str | bytes, content: bytes) -> None:
    session, network = session_of(says(HELLO))
    session.post(URL, data=body)
    assert heard(network).partition(BLANK)[2] == content


def test_content_waits_where_a_request_says_so() -> None:
    """RFC 9110 §10.1.1."""

    def refuses() -> Script:
        yield Until(BLANK)
        yield answer(b"no", status=b"417 Expectation Failed")
        yield CLIENT_END

    session, network = session_of(refuses)
    response = session.put(URL, data=io.BytesIO(b"content"), headers={"Expect": "100-continue"})
    assert response.status_code == 417
    assert b"content" not in heard(network)


# --- errors --------------------------------------------------------------------------------


def resets_after(octets: bytes) -> Peer:
    def peer() -> Script:
        yield Until(BLANK)
        yield octets
        yield Pause(1.0)  # or what was said before would be lost with the connection
        yield RST

    return peer


@pytest.mark.parametrize(
    ("script", "kind", "own"),
    [
        (REFUSED, requests.ConnectionError, perdure.ConnectError),
        (UNANSWERED, requests.ConnectTimeout, perdure.ConnectTimeout),
        (last_words(b"", FIN), requests.ConnectionError, perdure.NoResponse),
        (last_words(b"", RST), requests.ConnectionError, perdure.NoResponse),
        (silent_after(b"rubbish\r\n\r\n"), requests.ConnectionError, perdure.RemoteProtocolError),
        (silent_after(b""), requests.ReadTimeout, perdure.ReadTimeout),
        (last_words(CUT, FIN), requests.exceptions.ChunkedEncodingError, perdure.ResponseIncomplete),
        (resets_after(CUT), requests.exceptions.ChunkedEncodingError, perdure.ResponseIncomplete),
        (silent_after(CUT), requests.ConnectionError, perdure.ReadTimeout),
    ],
)
def test_faults_are_told_in_terms_of_requests(
    script: Peer | NoAnswer, kind: type[Exception], own: type[perdure.Error]
) -> None:
    session, _ = session_of(script)
    with pytest.raises(kind) as caught:
        session.get(URL, timeout=(3.0, 5.0))
    assert type(caught.value) is kind
    found: Any = caught.value.args[0]
    found = getattr(found, "reason", None) or found
    assert isinstance(found.__cause__, own)
    assert all(counted.leased == 0 for counted in adapter_of(session).statistics())


def test_no_such_host_is_a_connection_error() -> None:
    session = requests.Session()
    session.mount("http://", Adapter())
    with pytest.raises(requests.ConnectionError, match="Failed to resolve"):
        session.get("http://nowhere.invalid/")


@pytest.mark.parametrize("url", ["ftp://origin.test/", "file:///etc/hosts"])
def test_other_schemes_are_refused(url: str) -> None:
    session = requests.Session()
    session.mount(url, Adapter())
    with pytest.raises(requests.exceptions.InvalidSchema):
        session.get(url)


# --- timeouts ------------------------------------------------------------------------------


@pytest.mark.parametrize(("timeout", "lasts"), [(3.0, 3.0), ((1.0, 4.0), 4.0), ((None, 2.0), 2.0)])
def test_read_timeouts_are_honoured(timeout: Any, lasts: float) -> None:
    session, network = session_of(silent_after(b""))
    began = network.now()
    with pytest.raises(requests.ReadTimeout):
        session.get(URL, timeout=timeout)
    assert network.now() - began == pytest.approx(lasts)


@pytest.mark.parametrize(("timeout", "lasts"), [(3.0, 3.0), ((1.0, 4.0), 1.0), ((2.0, None), 2.0)])
def test_connect_timeouts_are_honoured(timeout: Any, lasts: float) -> None:
    session, network = session_of(UNANSWERED)
    began = network.now()
    with pytest.raises(requests.ConnectTimeout):
        session.get(URL, timeout=timeout)
    assert network.now() - began == pytest.approx(lasts)


def test_no_timeout_waits_for_ever() -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield Pause(86_400.0)
        yield HELLO

    assert session_of(peer)[0].get(URL).text == "hello"


def test_a_pool_without_a_free_connection_is_a_connect_timeout() -> None:
    session, _ = session_of(says(HELLO), pool_maxsize=1, pool_block=True, pool_timeout=0.0)
    with session.get(URL, stream=True), pytest.raises(requests.ConnectTimeout, match="no connection became"):
        session.get(URL)


# --- retries -------------------------------------------------------------------------------


def test_max_retries_counts_connections_that_did_not_come_about() -> None:
    session, network = session_of(REFUSED, REFUSED, says(HELLO), max_retries=2)
    assert session.get(URL).text == "hello"
    assert len(network.dialled) == 3
    session, network = session_of(REFUSED, REFUSED, max_retries=1)
    with pytest.raises(requests.ConnectionError, match="Max retries exceeded"):
        session.get(URL)
    assert len(network.dialled) == 2


def test_a_retry_object_says_which_statuses_are_asked_again() -> None:
    busy = answer(b"busy", status=b"503 Service Unavailable")
    session, network = session_of(says(busy, busy, HELLO), max_retries=Retry(2, status_forcelist=[503]))
    assert session.get(URL).text == "hello"
    assert len(network.connections) == 1
    session, _ = session_of(says(busy, busy), max_retries=Retry(1, status_forcelist=[503]))
    with pytest.raises(requests.exceptions.RetryError):
        session.get(URL)
    lenient = Retry(1, status_forcelist=[503], raise_on_status=False)
    session, _ = session_of(says(busy, busy), max_retries=lenient)
    assert session.get(URL).status_code == 503


def test_content_that_was_used_up_is_not_sent_again() -> None:
    busy = answer(b"busy", status=b"503 Service Unavailable")

    def peer() -> Script:
        yield Until(b"0\r\n\r\n")
        yield busy
        yield CLIENT_END

    session, network = session_of(peer, max_retries=Retry(3, status_forcelist=[503], allowed_methods=None))
    assert session.put(URL, data=iter([b"once"])).status_code == 503
    assert len(network.connections) == 1


def test_a_stale_connection_is_no_concern_of_max_retries() -> None:
    session, network = session_of(last_words(HELLO, FIN), says(HELLO))
    for _ in range(2):
        assert session.get(URL).text == "hello"
    assert len(network.connections) == 2


# --- limits, copies, threads ---------------------------------------------------------------


def test_pool_arguments_become_limits_where_the_pool_blocks() -> None:
    def settings(adapter: Adapter) -> perdure.ClientSettings:
        return adapter.poolmanager.client_of(locate(URL).origin, {}).settings  # type: ignore[attr-defined, no-any-return]

    blocking = settings(Adapter(pool_connections=3, pool_maxsize=2, pool_block=True))
    assert (blocking.max_per_origin, blocking.max_total) == (2, 6)
    assert settings(Adapter()).max_per_origin > 65535
    assert settings(Adapter(idle_timeout=3.0)).idle_timeout == 3.0


def test_a_setting_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="idle_limit"):
        Adapter(idle_limit=3.0)
    with pytest.raises(ValueError, match="source_address"):
        Adapter().init_poolmanager(1, 1, source_address=("127.0.0.1", 0))


def pickled(whole: Any) -> Any:
    return pickle.loads(pickle.dumps(whole))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_begin_without_connections(copied: Callable[[Any], Any], origin: Origin) -> None:
    adapter = Adapter(max_retries=3, idle_timeout=7.0)
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.get(f"{origin.url}/get")
        twin = copied(adapter)
        session.mount("http://", twin)
        session.get(f"{origin.url}/get")
        adapter.close()
    assert origin.accepted == 2
    assert twin.max_retries.total == 3
    assert twin.poolmanager.client_of(locate(URL).origin, {}).settings.idle_timeout == 7.0


def test_a_closed_session_begins_anew() -> None:
    session, network = session_of(says(HELLO), says(HELLO))
    session.get(URL)
    session.close()
    assert network.connections[0].ended_by_client
    assert session.get(URL).text == "hello"


def test_threads_share_an_adapter(origin: Origin) -> None:
    statuses: list[int] = []
    with requests.Session() as session:
        session.mount("http://", Adapter(pool_maxsize=2, pool_block=True))

        def ask() -> None:
            statuses.extend(session.get(f"{origin.url}/get").status_code for _ in range(20))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 80
    assert origin.accepted <= 2


def test_what_is_forgotten_half_read_leaves_no_lease() -> None:
    session, _ = session_of(says(answer(b"x" * 500_000)), says(HELLO))
    session.get(URL, stream=True)  # forgotten
    assert session.get(URL).text == "hello"
    (counted,) = adapter_of(session).statistics()
    assert counted.closes == {Reason.ABANDONED: 1}


# --- TLS -----------------------------------------------------------------------------------


def test_connections_with_different_tls_settings_are_kept_apart(
    tls_origin: Origin, authority_file: str
) -> None:
    url = f"{tls_origin.url}/get"
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", Adapter())
        assert session.get(url, verify=authority_file).status_code == 200
        with pytest.raises(requests.exceptions.SSLError, match="certificate"):
            session.get(url)  # though a connection lies idle that was verified otherwise
        assert session.get(url, verify=False).status_code == 200
        assert session.get(url, verify=authority_file).status_code == 200
    assert len([asked for asked in tls_origin.requests if asked == "GET /get"]) == 3


def test_files_that_are_not_there_are_told() -> None:
    with requests.Session() as session:
        session.mount("https://", Adapter())
        with pytest.raises(OSError, match="Could not find a suitable TLS CA certificate bundle"):
            session.get("https://127.0.0.1:1/", verify="/nowhere.pem")
        with pytest.raises(OSError, match="Could not find the TLS certificate file"):
            session.get("https://127.0.0.1:1/", cert="/nowhere.pem")


def test_a_subclass_may_bring_a_context_of_its_own(tls_origin: Origin, authority_file: str) -> None:
    class Own(Adapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            options["ssl_context"] = ssl.create_default_context(cafile=authority_file)
            super().init_poolmanager(*arguments, **options)

    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", Own())
        assert session.get(f"{tls_origin.url}/get").status_code == 200
