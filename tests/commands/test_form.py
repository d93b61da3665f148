"""The parts of a form, as curl's users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.commands.form import FormPart, form_part
from perdure.commands.outcome import CouldNot
from tests.commands.conftest import Perdure
from tests.programs import Serving


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a=b", FormPart("a", "b", None, None)),
        ("a=", FormPart("a", "", None, None)),
        ("a=b=c;d", FormPart("a", "b=c;d", None, None)),
        ("a=b;type=text/html", FormPart("a", "b", None, "text/html")),
        ("a=b;filename=f.txt;type=text/html", FormPart("a", "b", "f.txt", "text/html")),
    ],
)
def test_text_is_a_field(text: str, part: FormPart) -> None:
    assert form_part(text) == part


def test_file_has_its_own_name_or_the_one_given(tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"octets")
    assert form_part(f"a=@{file}") == FormPart("a", file, "in.txt", None)
    assert form_part(f"a=@{file};filename=x;type=b/c") == FormPart("a", file, "x", "b/c")
    assert form_part(f"a=<{file}") == FormPart("a", file, None, None)


@pytest.mark.parametrize("text", ["a", "=b", ""])
def test_part_that_is_none_says_what_is_expected(text: str) -> None:
    with pytest.raises(CouldNot, match="--form: NAME=TEXT or NAME=@FILE expected, got"):
        form_part(text)


def test_file_that_is_not_there_is_named() -> None:
    with pytest.raises(CouldNot, match="--form: absent: No such file or directory"):
        form_part("a=@absent")


def test_form_is_sent_with_each_request(perdure: Perdure, echo: Serving, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"from a file")
    said = perdure("get", "-F", "a=b", "-F", f"c=@{file}", echo.url).stdout
    assert said.startswith("POST / 1.1\n")
    assert "content-type=multipart/form-data; boundary=" in said
    assert 'name="a"\n\nb\n' in said.replace("\r\n", "\n")
    assert 'name="c"; filename="in.txt"\nContent-Type: text/plain\n\nfrom a file\n' in said.replace(
        "\r\n", "\n"
    )
    assert perdure("get", "-F", f"c=@{file}", "-n", "3", echo.url).returncode == 0
