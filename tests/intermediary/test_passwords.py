"""Hashes of passwords: what they match, and how they are written."""

from __future__ import annotations

from base64 import b64encode

import pytest

from perdure.intermediary.passwords import hash_password, nobody, parse_hash, read_users

CHEAP = hash_password("wonderland", cost=4)


def test_a_hash_is_read_as_it_was_written_and_matches_its_password_alone() -> None:
    read = parse_hash(str(CHEAP))
    assert read == CHEAP
    assert read.matches(b"wonderland")
    assert not read.matches(b"wonderland ")
    assert not read.matches(b"")
    assert "wonder" not in repr(read)
    assert str(hash_password("wonderland", cost=4)) != str(CHEAP)  # each has a salt of its own


def test_the_scheme_is_scrypt_as_rfc_7914_has_it() -> None:
    # 7914 §12, the second vector.
    expected = (
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830da"
        "c727afb94a83ee6d8360cbdfa2cc0640"
    )
    digest = b64encode(bytes.fromhex(expected)).decode()
    assert parse_hash(f"scrypt$ln=10,r=8,p=16${b64encode(b'NaCl').decode()}${digest}").matches(b"password")


@pytest.mark.parametrize(
    "text",
    [
        "wonderland",
        "scrypt$ln=99,r=8,p=1$AAAA$" + "A" * 44,
        "scrypt$ln=4,r=8,p=1$AAAA$AAAA",
        "scrypt$ln=4,r=8,p=1$A$A",
        "$2y$05$abcdefghijklmnopqrstuu",
        "",
    ],
)
def test_what_is_no_hash_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^of 'bob': a hash .*expected, got (something|a damaged|ln=)"
    ) as caught:
        read_users([f"bob:{text}"])
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("texts", [["alice"], [":x"], [f"a:{CHEAP}", f"a:{CHEAP}"]])
def test_each_user_has_a_name_of_his_own(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"NAME:HASH expected|each name once expected"):
        read_users(texts)


def test_nobody_has_a_hash_that_is_as_dear_as_the_others_and_matches_nothing() -> None:
    assert nobody([CHEAP, hash_password("x", cost=5)]).cost == 5
    assert nobody([]).cost == 1
    assert not nobody([CHEAP]).matches(b"wonderland")
