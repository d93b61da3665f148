"""What is printed after each request."""

from __future__ import annotations

import pytest

from perdure.commands.outcome import CouldNot
from perdure.commands.report import Row
from perdure.commands.write_out import check, filled
from perdure.core import Reason
from tests.commands.conftest import Perdure
from tests.programs import Serving

ROW = Row(2, "http://a.test/", 200, 11, 0.5, 1, True, 0.25, Reason.PEER_CLOSED)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("%{http_code} %{size_download}\\n", "200 11\n"),
        ("%{time_total}\\t%{url_effective}", "0.500000\thttp://a.test/"),
        ("%{connection_number} %{reused} %{idle_seconds} %{num_connects}", "1 true 0.250000 0"),
        ("%{number} %{ends} 100%% %{", "2 peer_closed 100% %{"),
    ],
)
def test_variables_stand_for_what_became_of_a_request(template: str, text: str) -> None:
    check(template)
    assert filled(template, ROW) == text


def test_what_failed_has_the_code_000() -> None:
    assert (
        filled("%{response_code} %{connection_number}%{errormsg}", Row(1, "u", error="refused"))
        == "000 refused"
    )


def test_variable_that_nobody_knows_is_refused() -> None:
    with pytest.raises(CouldNot, match=r"^--write-out: one of http_code, .*, got 'htp_code'$"):
        check("%{htp_code}")


def test_it_replaces_lines_and_totals(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-n", "2", "-w", "%{http_code} %{reused}\\n", echo.url)
    assert (result.stdout, result.stderr, result.returncode) == ("200 false\n200 true\n", "", 0)


@pytest.mark.parametrize("how", [["-n", "1"], ["-n", "2"], ["-n", "4", "-c", "2", "--pipeline", "2"]])
def test_server_that_cannot_be_reached_has_its_text_once(perdure: Perdure, how: list[str]) -> None:
    result = perdure("get", *how, "-w", "%{http_code}\\n", "http://127.0.0.1:1/")
    assert (result.stdout, result.returncode) == ("000\n", 2)
    assert "127.0.0.1:1: connecting failed" in result.stderr


def test_json_beside_it_is_refused(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "--json", "-w", "x", echo.url)
    words = "perdure: get: one of --json and --write-out expected, got both\n"
    assert (result.stdout, result.stderr, result.returncode) == ("", words, 2)
