"""What real programs are asked for: pages over http and https, with an authority of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests import peers


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def roots(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the authority that all certificates here are signed by."""
    path = tmp_path_factory.mktemp("roots") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the certificate of 127.0.0.1 and its key."""
    path = tmp_path_factory.mktemp("certificate") / "own.pem"
    authority.issue_cert(peers.LOOPBACK).private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def origin(tls_pages: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """nginx: its URLs by scheme."""
    return tls_pages[1]


@pytest.fixture(scope="module")
def tls_pages(certificate: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """nginx, with TLS too: the folder of its pages, and its URLs by scheme."""
    secure = peers.free_port()
    listen = (
        f"listen {peers.LOOPBACK}:{secure} ssl;\nssl_certificate {certificate};\n"
        f"ssl_certificate_key {certificate};\nkeepalive_requests 10000;\n"
    )
    with peers.nginx(listen) as server:
        yield server.folder / "pages", {"http": server.url, "https": f"https://{peers.LOOPBACK}:{secure}"}
