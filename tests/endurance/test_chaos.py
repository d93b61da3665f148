"""A gateway between 256 clients and origins that lie, are killed and stand still: a short `scripts/chaos`."""

from __future__ import annotations

import sys

import pytest

from tests.endurance.chaos import Act, run
from tests.endurance.chaos_client import Answer, Asked, fault_of
from tests.endurance.chaos_words import content_of, digest, upload_of

REQUESTS = 6000
CONNECTIONS = 256


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="connections are counted in /proc")
@pytest.mark.row("R64", "R86", "R90", "R107", "S5", "S6", "S8", "S16")
def test_every_answer_belongs_to_its_request_and_no_post_is_delivered_twice() -> None:
    chaos = run(REQUESTS, CONNECTIONS, seed=2)
    assert chaos.faults() == []
    healthy, lying, healed = chaos.acts
    assert healthy.answers["200"] + healthy.answers["left"] == healthy.asked
    assert lying.answers["200"] > lying.asked / 2
    assert set(lying.answers) > {"200", "502 http_protocol_error", "cut off"}, "the origins did not lie"
    assert healed.asked > 0


# The judges


def answer(token: bytes, content: bytes, status: int = 200, **fields: bytes) -> Answer:
    named = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Answer(status, {b"x-token": token, **named}, content)


GET = Asked(b"a-1", b"GET", b"", None)
POST = Asked(b"a-2", b"POST", b"", upload_of(b"a-2"))


@pytest.mark.parametrize(
    ("asked", "got", "fault"),
    [
        (GET, answer(b"a-1", content_of(b"a-1")), ""),
        (GET, answer(b"a-2", content_of(b"a-2")), "the answer of b'a-2' for b'a-1'"),
        (GET, answer(b"a-1", content_of(b"a-2")), "content of another request, or not whole"),
        (GET, answer(b"a-1", content_of(b"a-1")[:-1]), "content of another request, or not whole"),
        (GET, answer(b"a-1", content_of(b"a-1")[:-1], x_lie=b"short"), ""),
        (GET, answer(b"a-1", b"evil", x_lie=b"short"), "content of another request, or not whole"),
        (GET, answer(b"a-1", b"", 502, proxy_status=b"perdure"), ""),
        (GET, answer(b"a-1", b"", 502), "502 of nobody"),
        (GET, answer(b"a-1", b"", 500), "status 500"),
        (POST, answer(b"a-2", content_of(b"a-2"), x_upload=digest(upload_of(b"a-2"))), ""),
        (POST, answer(b"a-2", content_of(b"a-2"), x_upload=b"1-1"), "content arrived changed"),
    ],
)
def test_an_answer_is_judged_by_token_and_content(asked: Asked, got: Answer, fault: str) -> None:
    assert fault_of(asked, got) == fault


def test_deliveries_are_judged_by_what_the_origins_read() -> None:
    act = Act("lying", posted=["a-1", "a-3"])
    act.delivered = [
        ("0:1", 0, "POST", "a-1"),
        ("0:2", 0, "POST", "a-2"),
        ("1:1", 0, "POST", "a-2"),
        ("0:1", 1, "GET", "a-4"),
        ("0:2", 1, "GET", "a-4"),
        ("0:2", 2, "GET", "a-4"),
    ]
    act.judge()
    assert act.faults == {
        "POST or PATCH delivered twice": 1,
        "POST or PATCH answered, not delivered": 1,
        "request delivered more than twice": 1,
    }
    assert act.reuse == 0.5
