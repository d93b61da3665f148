"""Serving a folder: what is in it, in the usual ways, and nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from perdure.server.files import NotAFolder, folder_application
from perdure.wire.network import LoopNetwork, Network, run
from tests.server.stand import Answer, answer_from, serving
from tests.wire.conftest import Play

SECRET = b"nobody may read this"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a secret beside it."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_bytes(SECRET)
    served = tmp_path / "served"
    served.mkdir()
    (served / "small.txt").write_bytes(b"small\n")
    (served / "large.bin").write_bytes(bytes(range(256)) * 2000)
    (served / "with").mkdir()
    (served / "with" / "index.html").write_bytes(b"<p>index</p>")
    (served / "with" / "out").mkdir()
    (served / "with" / "out" / "a<b>&'\".txt").write_bytes(b"odd")
    (served / "with" / "out" / "Zebra").mkdir()
    (served / "leaves.txt").symlink_to(tmp_path / "secret.txt")
    (served / "leaves").symlink_to(tmp_path / "outside")
    (served / "stays.txt").symlink_to(served / "small.txt")
    (served / "loop").symlink_to(served / "loop")
    os.mkfifo(served / "pipe")
    return served


def ask(folder: Path, *requests: tuple[bytes, bytes, bytes]) -> list[Answer]:
    """Ask for (method, target, further lines), one after the other on one connection."""
    answers: list[Answer] = []

    async def scene(network: Network) -> None:
        async with serving(network, folder_application(str(folder))) as stand:
            peer = await stand.dial()
            for method, target, lines in requests:
                peer.send(b"%b %b HTTP/1.1\r\nHost: evil.example\r\n%b\r\n" % (method, target, lines))
                answers.append(await answer_from(peer, method))

    run(asyncio.wait_for(scene(LoopNetwork()), 20.0))
    return answers


def get(folder: Path, target: bytes, lines: bytes = b"") -> Answer:
    """The answer to one GET."""
    return ask(folder, (b"GET", target, lines))[0]


@pytest.mark.row("R62", "R69")
@pytest.mark.parametrize(
    ("target", "kind", "content"),
    [
        (b"/small.txt", b"text/plain; charset=utf-8", b"small\n"),
        (b"/small%2etxt?query", b"text/plain; charset=utf-8", b"small\n"),
        (b"/stays.txt", b"text/plain; charset=utf-8", b"small\n"),
        (b"/with/../small.txt", b"text/plain; charset=utf-8", b"small\n"),
        (b"/large.bin", b"application/octet-stream", bytes(range(256)) * 2000),
        (b"/with/", b"text/html; charset=utf-8", b"<p>index</p>"),
        (b"/with/index.html", b"text/html; charset=utf-8", b"<p>index</p>"),
        (b"/with/out/a%3Cb%3E%26'%22.txt", b"text/plain; charset=utf-8", b"odd"),
    ],
)
def test_files_have_their_type_and_length(folder: Path, target: bytes, kind: bytes, content: bytes) -> None:
    answer = get(folder, target)
    assert (answer.status, answer.content) == (200, content)
    assert answer.fields[b"content-type"] == kind
    assert answer.fields[b"content-length"] == b"%d" % len(content)
    assert {b"etag", b"last-modified", b"accept-ranges"} <= set(answer.fields)


@pytest.mark.row("R67", "R68")
@pytest.mark.parametrize("target", [b"/small.txt", b"/large.bin", b"/with/", b"/with/out/"])
def test_head_says_what_get_says_without_content(folder: Path, target: bytes) -> None:
    whole, head, again = ask(folder, (b"GET", target, b""), (b"HEAD", target, b""), (b"GET", target, b""))
    for name in (b"content-length", b"content-type", b"etag", b"last-modified"):
        assert head.fields.get(name) == whole.fields.get(name)
    assert again.content == whole.content


@pytest.mark.row("R67", "R51")
def test_a_condition_that_holds_is_answered_with_304(folder: Path) -> None:
    first = get(folder, b"/small.txt")
    etag, date = first.fields[b"etag"], first.fields[b"last-modified"]
    for line in (b"If-None-Match: " + etag, b"If-Modified-Since: " + date):
        second, third = ask(folder, (b"GET", b"/small.txt", line + b"\r\n"), (b"GET", b"/small.txt", b""))
        assert second.status == 304
        assert second.fields.get(b"content-length") in (None, b"6")
        assert second.fields[b"etag"] == etag
        assert third.content == b"small\n", "what follows is in step"
    assert get(folder, b"/small.txt", b'If-None-Match: "other"\r\n').status == 200


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        (b"bytes=1-3", 206, b"mal", b"bytes 1-3/6"),
        (b"bytes=-2", 206, b"l\n", b"bytes 4-5/6"),
        (b"bytes=9-", 416, b"", b"bytes */6"),
    ],
)
def test_ranges(folder: Path, asked: bytes, status: int, content: bytes, said: bytes) -> None:
    answer = get(folder, b"/small.txt", b"Range: " + asked + b"\r\n")
    assert (answer.status, answer.content) == (status, content)
    assert answer.fields[b"content-range"] == said


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/with", b"./with/"),
        (b"/with?a=b", b"./with/?a=b"),
        (b"/with/out", b"./out/"),
        (b"//with", b"./with/"),
        (b"//evil.example/../with", b"./with/"),
    ],
)
def test_a_folder_without_its_slash_is_redirected_and_only_there(
    folder: Path, target: bytes, location: bytes
) -> None:
    answer = get(folder, target)
    assert answer.status == 308
    assert answer.fields[b"location"] == location


def test_a_folder_without_an_index_is_listed_with_its_names_escaped(folder: Path) -> None:
    listing = get(folder, b"/with/out/")
    assert listing.fields[b"content-type"] == b"text/html; charset=utf-8"
    assert b'<a href="./Zebra/">Zebra/</a>' in listing.content
    assert b'<a href="./a%3Cb%3E%26%27%22.txt">a&lt;b&gt;&amp;&#x27;&quot;.txt</a>' in listing.content
    assert b'<a href="../">' in listing.content
    assert b"<b>" not in listing.content
    top = get(folder, b"/").content
    assert b'<a href="../">' not in top
    assert b'<a href="./with/">with/</a>' in top
    assert b"leaves" not in top
    assert b"loop" not in top


def test_a_name_that_is_no_text_can_be_listed_and_fetched(folder: Path) -> None:
    name = os.path.join(os.fsencode(folder), b"\xff\xfe.txt")
    try:
        with open(name, "wb") as file:
            file.write(b"octets")
    except OSError:
        pytest.skip("this file system takes text only")
    assert b'href="./%FF%FE.txt"' in get(folder, b"/").content
    assert get(folder, b"/%ff%fe.txt").content == b"octets"


@pytest.mark.parametrize(
    "target",
    [
        b"/../secret.txt",
        b"/%2e%2e/secret.txt",
        b"/..%2fsecret.txt",
        b"/with/..%2f..%2fsecret.txt",
        b"/%2e%2e%2f%2e%2e%2fsecret.txt",
        b"/....//secret.txt",
        b"/..%5csecret.txt",
        b"//secret.txt",
        b"/%2fetc/passwd",
        b"//etc/passwd",
        b"/leaves.txt",
        b"/leaves/",
        b"/leaves/secret.txt",
        b"/small.txt%00.html",
        b"/%00",
        b"/small.txt/",
        b"/loop",
        b"/loop/",
        b"/pipe",
        b"/absent",
        b"/absent/",
        b"/" + b"a" * 5000,
    ],
)
def test_nothing_outside_the_folder_is_reached(folder: Path, target: bytes) -> None:
    answer = get(folder, target)
    assert answer.status == 404
    assert SECRET not in answer.content


def test_other_methods_are_not_allowed_and_leave_the_connection_in_step(folder: Path) -> None:
    refused, served = ask(
        folder, (b"POST", b"/small.txt", b"Content-Length: 0\r\n"), (b"GET", b"/small.txt", b"")
    )
    assert (refused.status, refused.fields[b"allow"]) == (405, b"GET, HEAD")
    assert served.content == b"small\n"


def test_a_file_that_shrinks_while_it_is_sent_is_visibly_cut(
    play_on_sockets: Play, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    large = folder / "huge.bin"
    with large.open("wb") as file:
        file.truncate(50_000_000)

    async def scene(network: Network) -> None:
        async with serving(network, folder_application(str(folder))) as stand:
            peer = await stand.dial()
            peer.send(b"GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            await peer.receive_until(b"\r\n\r\n")
            peer.pause_reading()
            os.truncate(large, 1000)
            peer.resume_reading()
            assert len(await peer.receive_all()) < 50_000_000
            await stand.closes()

    play_on_sockets(scene)
    assert "GET /huge.bin" in caplog.text


def test_what_is_no_folder_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(NotAFolder, match="not a folder"):
        folder_application(str(tmp_path / "absent"))
