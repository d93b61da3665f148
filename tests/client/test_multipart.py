"""Forms with files. RFC 7578."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from email import message_from_bytes
from pathlib import Path

import pytest

import perdure
from perdure.client.content import PIECE_OCTETS, Content
from perdure.client.multipart import Multipart, Part, multipart_of
from perdure.wire.scripted import Exactly, Script, Until
from tests.client.conftest import BLANK, Perform, Stage, answer


def octets_of(content: Content) -> bytes:
    content.start()
    return b"".join(iter(content.pull, None))


def test_the_octets_of_a_form() -> None:
    content = Multipart(
        [
            Part("a", Content("é"), None, None, {}),
            Part('b"\r\nX: y', Content(b"1"), "c\\d.txt", "text/plain", {"X-A": "1"}),
        ],
        boundary="edge",
    )
    assert content.media_type == b"multipart/form-data; boundary=edge"
    assert octets_of(content) == (
        b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xc3\xa9\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="b%22%0D%0AX: y"; filename="c\\d.txt"\r\n'
        b"Content-Type: text/plain\r\nX-A: 1\r\n\r\n1\r\n--edge--\r\n"
    )
    assert content.length == len(octets_of(content)) == len(content.whole or b"")


def parts_of(content: Content) -> list[tuple[str | None, str | None, str, object]]:
    """What somebody else reads in it: (field, file name, media type, content)."""
    message = message_from_bytes(b"Content-Type: " + content.media_type + b"\r\n\r\n" + octets_of(content))
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.walk()
        if not part.is_multipart()
    ]


def test_a_file_on_disk_is_read_as_it_is_sent_and_again_if_need_be(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"x" * (3 * PIECE_OCTETS))
    with path.open("rb") as file:
        content = multipart_of({"n": 1, "l": ["a", True]}, {"f": file})
        assert content.whole is None
        assert (content.replayable, content.asynchronous) == (True, False)
        first, second = octets_of(content), octets_of(content)
        assert first == second
        assert len(first) == content.length
        content.start()
        assert max(map(len, iter(content.pull, None))) < 2 * PIECE_OCTETS
        assert parts_of(content) == [
            ("n", None, "text/plain", b"1"),
            ("l", None, "text/plain", b"a"),
            ("l", None, "text/plain", b"true"),
            ("f", "page.html", "text/html", b"x" * (3 * PIECE_OCTETS)),
        ]


def test_every_form_in_which_a_file_may_be_given() -> None:
    content = multipart_of(
        None,
        [
            ("a", b"1"),
            ("b", ("n.json", "2")),
            ("c", ("n", io.BytesIO(b"3"), "image/png")),
            ("d", (None, b"4")),
        ],
    )
    assert parts_of(content) == [
        ("a", "a", "application/octet-stream", b"1"),
        ("b", "n.json", "application/json", b"2"),
        ("c", "n", "image/png", b"3"),
        ("d", None, "text/plain", b"4"),
    ]


def test_a_part_of_unknown_length_makes_the_whole_unknown() -> None:
    content = multipart_of(None, {"a": ("a", iter([b"one", b"two"]))})
    assert (content.length, content.replayable) == (None, False)
    assert b"\r\n\r\nonetwo\r\n--" in octets_of(content)


def test_a_part_may_be_asynchronous() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"x" * PIECE_OCTETS
        yield b"two"

    async def read() -> bytes:
        content = multipart_of(None, [("a", ("a", source())), ("b", b"3")])
        assert content.asynchronous
        content.start()
        return b"".join([piece async for piece in pieces(content)])

    async def pieces(content: Content) -> AsyncIterator[bytes]:
        while (piece := await content.pull_async()) is not None:
            yield piece

    octets = asyncio.run(read())
    assert b"xtwo\r\n--" in octets
    assert octets.endswith(b"3\r\n--" + octets[2:34] + b"--\r\n")


@pytest.mark.row("R39")
def test_a_part_cannot_break_out_of_its_lines() -> None:
    with pytest.raises(perdure.Error):
        Part("a", Content(b""), None, "text/plain\r\nX: y", {})


def test_a_form_of_many_pieces_goes_out_with_its_length(perform: Perform) -> None:
    octets = bytes(5 * PIECE_OCTETS)
    received: list[bytes] = []

    def peer() -> Script:
        head = yield Until(BLANK)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        received.append((yield Exactly(length)))
        yield answer()

    async def scene(stage: Stage) -> None:
        response = await stage.ask("POST", data={"a": "1"}, files={"f": io.BytesIO(octets)})
        assert response.request.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert octets in received[0]

    perform(scene, peer)
    with pytest.raises(TypeError, match="beside them"):
        perform(lambda stage: stage.ask("POST", files={"a": b""}, json=1), peer)
