"""Digest authentication. RFC 7616; its own examples."""

from __future__ import annotations

import re
from typing import cast

import pytest

import perdure
from perdure.client.content import Content
from perdure.client.headers import RequestHeaders
from perdure.client.models import ConnectionUse, Message, Response
from perdure.core import Response as Head
from perdure.core import make_lines
from perdure.core.pool import Entry

URL = "http://www.example.org/dir/index.html"
EXAMPLE = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={0},'
    ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
OWN = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def answer(status: int, *challenges: str) -> Message:
    lines = make_lines([(b"WWW-Authenticate", challenge.encode()) for challenge in challenges])
    use = ConnectionUse(Entry(1, "", None, 0.0), 0.0)
    return Response(URL, Head(status, lines), use, ())


def request(url: str = URL, method: str = "GET", content: bytes = b"") -> perdure.Request:
    return perdure.Request(method, url, RequestHeaders(()), Content(content))


def mufasa() -> perdure.DigestAuth:
    return perdure.DigestAuth("Mufasa", "Circle of Life", make_nonce=lambda: OWN)


def answers(auth: perdure.DigestAuth, *responses: Message, url: str = URL) -> list[str | None]:
    """The Authorization of each request that is made while these responses come."""
    turns = auth.flow(request(url))
    said = [next(turns).headers.get("authorization")]
    for response in responses:
        try:
            said.append(turns.send(response).headers.get("authorization"))
        except StopIteration:
            break
    return said


def parameters(value: str | None) -> dict[str, str]:
    return dict(re.findall(r'(\S+?)="?([^",]*)"?(?:, |$)', (value or "").removeprefix("Digest ")))


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_the_rfc(algorithm: str, expected: str) -> None:
    """RFC 7616 §3.9.1."""
    said = answers(mufasa(), answer(401, EXAMPLE.format(algorithm)), answer(200))
    assert said[0] is None
    found = parameters(said[1])
    assert found["response"] == expected
    assert (found["uri"], found["nc"], found["qop"]) == ("/dir/index.html", "00000001", "auth")


def test_a_user_beyond_ascii_is_hashed_where_the_server_can_do_so() -> None:
    """RFC 7616 §3.9.2."""
    auth = perdure.DigestAuth(
        "Jäsøn Doe", "Secret, or not?", make_nonce=lambda: "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm"
    )
    challenge = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV'
        '+57QdFR34I9HAbC/RVvkK",'
        ' opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    found = parameters(answers(auth, answer(401, challenge), url="http://api.example.org/doe.json")[1])
    assert found["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert found["userhash"] == "true"
    plain = answers(auth, answer(401, challenge.replace(", userhash=true", "")))[1]
    assert "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe" in cast("str", plain)


def test_the_strongest_of_several_challenges_is_answered_wherever_it_stands() -> None:
    both = f'{EXAMPLE.format("MD5")}, Basic realm="x, y", {EXAMPLE.format("SHA-256")}'
    assert parameters(answers(mufasa(), answer(401, both))[1])["algorithm"] == "SHA-256"
    unknown = answer(401, EXAMPLE.format("SHA-1"), "Basic realm=x", "Negotiate")
    assert answers(mufasa(), unknown) == [None]


def test_a_challenge_is_remembered_and_its_count_goes_on() -> None:
    auth = mufasa()
    answers(auth, answer(401, EXAMPLE.format("SHA-256")), answer(200))
    said = answers(auth, answer(200))
    assert len(said) == 1
    assert parameters(said[0])["nc"] == "00000002"
    assert answers(auth, answer(200), url="http://other.test/") == [None]


def test_a_wrong_password_is_tried_once_and_a_stale_nonce_once_more() -> None:
    wrong = answer(401, EXAMPLE.format("MD5"))
    assert len(answers(mufasa(), wrong, wrong, wrong, wrong)) == 2
    stale = answer(401, EXAMPLE.format("MD5") + ", stale=TRUE")
    assert len(answers(mufasa(), stale, stale, stale, stale)) == 3


def test_sessions_content_and_servers_of_old() -> None:
    old = parameters(answers(mufasa(), answer(401, 'Digest realm="a", nonce="b"'))[1])
    assert not {"qop", "nc", "cnonce", "algorithm"} & old.keys()
    session = parameters(answers(mufasa(), answer(401, EXAMPLE.format("SHA-256-sess")))[1])
    plain = parameters(answers(mufasa(), answer(401, EXAMPLE.format("SHA-256")))[1])
    assert session["response"] != plain["response"]
    content = EXAMPLE.format("MD5").replace("auth, auth-int", "auth-int")
    turns = mufasa().flow(request(method="POST", content=b"x"))
    next(turns)
    assert parameters(turns.send(answer(401, content)).headers["authorization"])["qop"] == "auth-int"
    unread = perdure.Request("POST", URL, RequestHeaders(()), Content(iter([b"x"])))
    turns = mufasa().flow(unread)
    next(turns)
    with pytest.raises(perdure.RemoteProtocolError, match="auth-int"):
        turns.send(answer(401, content))
