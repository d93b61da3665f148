"""Who is asking: pairs, URLs, .netrc, callables. RFC 7617."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import perdure
from perdure.client.authentication import authentication_of, basic, basic_of_url, netrc_logins
from perdure.client.headers import RequestHeaders


def test_basic_says_user_and_password_in_utf_8() -> None:
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617 §2
    assert basic("test", "123£") == "Basic dGVzdDoxMjPCow=="  # §2.1
    assert basic_of_url("test:123%C2%A3") == basic("test", "123£")
    assert basic_of_url("only") == basic("only", "")
    with pytest.raises(ValueError, match="colon"):
        basic("a:b", "c")


def test_a_callable_changes_the_request() -> None:
    known = authentication_of(lambda request: request.headers.update({"X": "1"}))
    request = perdure.Request("GET", "http://a.test/", RequestHeaders(()))
    assert known is not None
    assert next(known.flow(request)) is request
    assert request.headers["x"] == "1"


@pytest.mark.parametrize("source", ["user:password", ("user",), 1])
def test_what_says_nobody_is_refused(source: object) -> None:
    with pytest.raises(TypeError, match="auth: expected"):
        authentication_of(source)  # type: ignore[arg-type]  # what is shown


def test_netrc_speaks_for_the_hosts_it_names_and_for_no_other(tmp_path: Path) -> None:
    file = tmp_path / ".netrc"
    file.write_text("machine A.test login me password secret\ndefault login any password shown\n")
    assert netrc_logins({"HOME": str(tmp_path)}) == {"a.test": basic("me", "secret")}
    assert netrc_logins({"HOME": "/nowhere", "NETRC": str(file)}) == {"a.test": basic("me", "secret")}
    assert netrc_logins({}) == {}


def test_a_netrc_that_is_broken_is_a_warning_without_its_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / ".netrc"
    file.write_text("machine a.test login me passwort secret\n")
    with caplog.at_level(logging.WARNING, "perdure.client"):
        assert netrc_logins({"NETRC": str(file)}) == {}
    assert ".netrc, line 1 cannot be read" in caplog.text
    assert "secret" not in caplog.text
