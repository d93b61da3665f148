"""Clients that we did not write through `perdure proxy`: curl, wget, Chromium, pip, git; http and https."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.intermediary.passwords import hash_password
from tests import peers
from tests.real_programs import ours
from tests.real_programs.test_serve import CHROMIUM_FLAGS

pytestmark = [pytest.mark.peer, pytest.mark.slow]

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
TRUST = ("GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PLAIN = (
    "env",
    *[word for name in (*NAMES, *map(str.upper, NAMES), *TRUST) for word in ("-u", name)],
)
"""Runs what follows without what the environment says of proxies and authorities."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[peers.Peer]:
    with ours.proxy("--allow", "127.0.0.0/8", "--connect-ports", "any") as running:
        yield running


def curl(*arguments: str) -> str:
    """What curl printed; its output goes nowhere unless said otherwise."""
    peers.require("curl")
    done = ours.run(*PLAIN, "curl", "-sS", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.row("S8", "S13")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl_reuses_its_connection_to_the_proxy(
    proxy: peers.Peer, origin: dict[str, str], roots: str, scheme: str
) -> None:
    url = origin[scheme] + "/small.txt"
    targets = [word for _ in range(3) for word in ("-o", "/dev/null", url)]
    said = curl("-x", proxy.url, "--cacert", roots, "-w", "%{http_code} %{num_connects}\n", *targets)
    assert said.splitlines() == ["200 1", "200 0", "200 0"]


@pytest.mark.row("R102", "S12")
@pytest.mark.parametrize("flags", [("--http1.0",), ("--http1.0", "-H", "Proxy-Connection: Keep-Alive")])
def test_curl_as_an_http_10_client_is_answered_and_not_kept(
    proxy: peers.Peer, origin: dict[str, str], flags: tuple[str, ...]
) -> None:
    url = origin["http"] + "/small.txt"
    targets = [word for _ in range(2) for word in ("-o", "/dev/null", url)]
    said = curl("-x", proxy.url, *flags, "-w", "%{http_code} %{num_connects}\n", *targets)
    assert said.splitlines() == ["200 1", "200 1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl_sends_and_gets_a_large_file(
    proxy: peers.Peer, origin: dict[str, str], roots: str, scheme: str, tmp_path: Path
) -> None:
    got = tmp_path / "got"
    curl("-x", proxy.url, "--cacert", roots, "-o", str(got), origin[scheme] + "/large.bin")
    assert got.read_bytes() == peers.PAGES["large.bin"]


def test_curl_uploads_with_and_without_a_length(proxy: peers.Peer, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 3_000_000)
    with ours.serve("tests.real_programs.applications:swallowing") as origin:
        for more in (), ("-H", "Transfer-Encoding: chunked"):
            assert curl("-x", proxy.url, *more, "-T", str(large), f"{origin.url}/put") == "3000000"


def test_curl_says_who_it_is(origin: dict[str, str], roots: str) -> None:
    flags = ("--auth", f"alice:{hash_password('wonderland', cost=10)}", "--connect-ports", "any")
    show = ("-o", "/dev/null", "-w", "%{http_code} %{http_connect} %{num_connects}\n", "--cacert", roots)
    with ours.proxy("--allow", "127.0.0.1", *flags) as proxy:
        for scheme, denied, granted in ("http", "407 000", "200 000"), ("https", "000 407", "200 200"):
            url = origin[scheme] + "/small.txt"
            done = ours.run(*PLAIN, "curl", "-s", "-x", proxy.url, *show, url)
            assert done.stdout == f"{denied} 1\n"
            assert curl("-x", proxy.url, "-U", "alice:wonderland", *show, url) == f"{granted} 1\n"
        # Asked first, on one connection; a CONNECT that was refused costs a second one (RFC 9931).
        asks = ("-x", proxy.url, "--proxy-anyauth", "-U", "alice:wonderland", *show)
        assert curl(*asks, origin["http"] + "/small.txt") == "200 000 1\n"
        assert curl(*asks, origin["https"] + "/small.txt") == "200 200 2\n"


def test_curl_is_told_why_not(origin: dict[str, str]) -> None:
    with ours.proxy() as proxy:
        show = ("-o", "/dev/null", "-w", "%{http_code} %{http_connect} %header{proxy-status}")
        assert curl("-x", proxy.url, *show, origin["http"]) == (
            "403 000 perdure; error=destination_ip_prohibited"
        )
        for url in (
            "http://localhost:1/",
            "http://0.0.0.0:1/",
            "http://[::ffff:127.0.0.1]:1/",
        ):
            said = curl("-g", "-x", proxy.url, *show, url)
            assert said == "403 000 perdure; error=destination_ip_prohibited", url
        done = ours.run(*PLAIN, "curl", "-s", "-x", proxy.url, *show, origin["https"])
        assert done.stdout.startswith("000 403")
        assert "this is a forward proxy" in curl(proxy.url)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_wget_fetches_pages(
    proxy: peers.Peer, origin: dict[str, str], roots: str, scheme: str, tmp_path: Path
) -> None:
    wget = peers.require("wget")
    environment = (f"http_proxy={proxy.url}", f"https_proxy={proxy.url}")
    urls = [f"{origin[scheme]}/{name}" for name in ("small.txt", "large.bin", "index.html")]
    done = ours.run(
        *PLAIN, *environment, wget, "-nv", f"--ca-certificate={roots}", "-P", str(tmp_path), *urls
    )
    assert done.returncode == 0, done.stderr
    for name in "small.txt", "large.bin", "index.html":
        assert (tmp_path / name).read_bytes() == peers.PAGES[name]


@pytest.mark.row("S9", "R91")
def test_chromium_fetches_twelve_objects_over_few_connections(proxy: peers.Peer) -> None:
    chromium = peers.require("chromium")
    with (
        ours.serve("tests.real_programs.applications:counting") as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        through = (f"--proxy-server={proxy.url}", "--proxy-bypass-list=<-loopback>")
        where = (f"--user-data-dir={profile}", "--dump-dom", f"{server.url}/")
        done = ours.run(chromium, *CHROMIUM_FLAGS, *through, *where)
    result = re.search(r'id="result">(\d+) objects over (\d+) connections', done.stdout)
    assert result is not None, done.stdout + done.stderr[-2000:]
    objects, connections = int(result[1]), int(result[2])
    assert objects == 12
    assert 1 <= connections <= 12


def test_chromium_reads_an_https_page_through_a_tunnel(proxy: peers.Peer, origin: dict[str, str]) -> None:
    chromium = peers.require("chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        through = (f"--proxy-server={proxy.url}", "--proxy-bypass-list=<-loopback>")
        where = (f"--user-data-dir={profile}", "--dump-dom", f"{origin['https']}/")
        done = ours.run(chromium, *CHROMIUM_FLAGS, "--ignore-certificate-errors", *through, *where)
    assert "<p>hello</p>" in done.stdout, done.stderr[-2000:]


def write_wheel(folder: Path) -> None:
    """A simple index with one package."""
    name = "loopback_sample-1.0-py3-none-any.whl"
    place = folder / "simple" / "loopback-sample"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / name, "w") as wheel:
        wheel.writestr("loopback_sample.py", "")
        about = "loopback_sample-1.0.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: loopback-sample\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    (place / "index.html").write_text(f'<a href="{name}">{name}</a>')
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_pip_downloads_from_an_index(
    proxy: peers.Peer, tls_pages: tuple[Path, dict[str, str]], roots: str, scheme: str, tmp_path: Path
) -> None:
    pages, urls = tls_pages
    if not (pages / "simple").exists():
        write_wheel(pages)
    pip = (
        *PLAIN,
        "PIP_CONFIG_FILE=/dev/null",
        ours.COMMAND[2],
        "-m",
        "pip",
        "--isolated",
        "download",
    )
    where = ("--index-url", f"{urls[scheme]}/simple/", "--trusted-host", peers.LOOPBACK)
    how = (
        "--proxy",
        proxy.url,
        "--cert",
        roots,
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--no-deps",
    )
    trust = where if scheme == "http" else where[:2]
    done = ours.run(*pip, *trust, *how, "-d", str(tmp_path), "loopback-sample")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "loopback_sample-1.0-py3-none-any.whl").exists()


def git(folder: Path, *arguments: str) -> str:
    """Run git with no configuration but its arguments."""
    alone = ("GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-C", str(folder))
    done = ours.run(*PLAIN, *alone, peers.require("git"), *who, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of a file that takes more than one piece to transfer."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    (work / "data").write_bytes(peers.PAGES["large.bin"] * 4)
    git(work, "add", "data")
    git(work, "commit", "-q", "-m", "data")
    return work


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_git_clones_over_dumb_http(
    proxy: peers.Peer,
    tls_pages: tuple[Path, dict[str, str]],
    roots: str,
    scheme: str,
    repository: Path,
    tmp_path: Path,
) -> None:
    pages, urls = tls_pages
    bare = pages / f"{scheme}.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    git(bare, "update-server-info")
    for path in [bare, *bare.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    how = ("-c", f"http.proxy={proxy.url}", "-c", f"http.sslCAInfo={roots}")
    git(tmp_path, *how, "clone", "-q", f"{urls[scheme]}/{scheme}.git", "copy")
    assert (tmp_path / "copy" / "data").read_bytes() == (repository / "data").read_bytes()


def test_git_clones_and_pushes_over_smart_http(proxy: peers.Peer, repository: Path, tmp_path: Path) -> None:
    backend = Path("/usr/lib/git-core/git-http-backend")
    if not backend.exists():
        pytest.skip("git-http-backend is not on this machine")
    with tempfile.TemporaryDirectory(prefix="perdure-git-") as folder:
        bare = Path(folder) / "shared.git"
        git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
        git(bare, "config", "http.receivepack", "true")
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o777)
        more = (
            f"SetEnv GIT_PROJECT_ROOT {folder}\nSetEnv GIT_HTTP_EXPORT_ALL 1\nScriptSock cgisock\n"
            "SetEnv GIT_CONFIG_COUNT 1\nSetEnv GIT_CONFIG_KEY_0 safe.directory\nSetEnv GIT_CONFIG_VALUE_0 *\n"
            f"ScriptAlias /git/ {backend}/\n<Directory {backend.parent}>\nRequire all granted\n</Directory>\n"
        )
        with peers.apache(modules=("cgid", "alias", "env"), more=more) as server:
            how = ("-c", f"http.proxy={proxy.url}", "-c", "http.postBuffer=65536")  # beyond it, chunked
            url = f"{server.url}/git/shared.git"
            git(tmp_path, *how, "clone", "-q", url, "copy")
            copy = tmp_path / "copy"
            assert (copy / "data").read_bytes() == (repository / "data").read_bytes()
            (copy / "more").write_bytes(b"".join(number.to_bytes(8, "big") for number in range(100_000)))
            git(copy, "add", "more")
            git(copy, "commit", "-q", "-m", "more")
            git(copy, *how, "push", "-q", "origin", "HEAD")
            assert git(bare, "rev-parse", "main") == git(copy, "rev-parse", "HEAD")


def test_our_own_client_goes_through_it_too(proxy: peers.Peer, origin: dict[str, str], roots: str) -> None:
    for url in origin["http"], origin["https"]:
        done = ours.perdure("get", "-n", "5", "--proxy", proxy.url, "--cacert", roots, url + "/small.txt")
        assert done.returncode == 0, done.stderr
        assert re.search(r"\b1 connection opened .*, 4 reuses\b", done.stdout)
