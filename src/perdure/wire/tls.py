"""TLS contexts, nothing else: which authorities are trusted, which certificate is shown.

The system's own authorities are trusted (truststore); where that is impossible, certifi's.
TLS 1.2 is the least that is spoken; ALPN offers http/1.1 alone, because nothing else is spoken
here. RFC 9110 §4.3.4 (certificate verification), RFC 7301 (ALPN).
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import Final, TypeAlias

import certifi
import truststore

from perdure.wire.errors import TlsSettings

TlsContext: TypeAlias = ssl.SSLContext
"""So that other rooms can name what they hand on."""

Verification: TypeAlias = bool | str | os.PathLike[str] | ssl.SSLContext
"""Whom to trust: the system's authorities, anybody, those of a PEM file or a folder, or as a context says."""

Certificate: TypeAlias = (
    str | os.PathLike[str] | tuple[str | os.PathLike[str], str | os.PathLike[str]]
    | tuple[str | os.PathLike[str], str | os.PathLike[str], str]
)  # fmt: skip
"""What to show: a PEM file with its key, (certificate, key), or (certificate, key, password)."""

ALPN = ["http/1.1"]
MINIMUM_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def client_context(
    *,
    verify: bool = True,
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    password: str = "",
    alpn: list[str] | None = None,
    minimum_version: str = "1.2",
) -> ssl.SSLContext:
    """Make the context of a client.

    Args:
        verify: False accepts any certificate of anybody; for tests and nothing else.
        ca_file: PEM file of the authorities to trust instead of the system's, or a folder of such
            files as OpenSSL's rehash leaves it.
        certificate, key: PEM files to show to a server that asks; the key may be in the
            certificate's file. password: of the key.
        alpn: protocols to offer; http/1.1 unless said otherwise.
        minimum_version: "1.2" or "1.3".

    Raises:
        TlsSettings: a file is missing or unusable; the message names it.
        ValueError: another minimum version.
    """
    if minimum_version not in MINIMUM_VERSIONS:
        raise ValueError(f"TLS version: expected 1.2 or 1.3 as the least, got {minimum_version!r}")
    context = _trusting_context(ca_file) if verify else _accept_anybody()
    context.minimum_version = MINIMUM_VERSIONS[minimum_version]
    context.set_alpn_protocols(ALPN if alpn is None else alpn)
    if certificate is not None:
        _load_chain(context, certificate, key, password)
    return context


def requested_context(
    verify: Verification, certificate: Certificate | None, minimum_version: str, ca_file: str | None = None
) -> ssl.SSLContext:
    """Make the context of a client from what its user wrote as `verify=` and `cert=`.

    Args:
        verify: see `Verification`; a context is returned as it is.
        ca_file: as a path in `verify`, which then has to be True.

    Raises:
        TlsSettings: as `client_context`.
        ValueError: a context, and beside it something that it should have said itself.
    """
    if isinstance(verify, ssl.SSLContext):
        if certificate is not None or ca_file is not None:
            raise ValueError("verify is a TLS context: load certificate and authorities into it")
        return verify
    trusted = isinstance(verify, bool)
    files = () if certificate is None else certificate if isinstance(certificate, tuple) else (certificate,)
    shown, key, password = [*[os.fspath(path) for path in files], None, None, None][:3]
    return client_context(
        verify=verify if isinstance(verify, bool) else True,
        ca_file=ca_file if trusted else os.fspath(verify),  # type: ignore[arg-type]  # not a bool here
        certificate=shown,
        key=key,
        password=password or "",
        minimum_version=minimum_version,
    )


def server_context(
    certificate: str, key: str | None = None, *, client_ca_file: str | None = None
) -> ssl.SSLContext:
    """Make the context of a server.

    Args:
        certificate: PEM file of the certificate and its chain.
        key: PEM file of the private key; None when it is in the certificate's file.
        client_ca_file: PEM file of the authorities of client certificates; asks clients for one
            and refuses those without.

    Raises:
        TlsSettings: a file is missing or unusable; the message names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    _load_chain(context, certificate, key)
    if client_ca_file is not None:
        _load_authorities(context, client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def renew_chain(context: ssl.SSLContext, certificate: str, key: str | None = None) -> None:
    """Let a server's context show another certificate from now on; connections that are open are not touched.

    Raises:
        TlsSettings: a file is missing or unusable; the context shows what it showed.
    """
    _load_chain(context, certificate, key)


def _trusting_context(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_authorities(context, ca_file)
        return context
    try:
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    except (ImportError, NotImplementedError, OSError):  # no usable system store on this platform
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_authorities(context, certifi.where())
        return context


def _accept_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    folder = Path(ca_file).is_dir()
    if not folder:
        _require_file(ca_file, "authorities")
    try:
        context.load_verify_locations(None if folder else ca_file, ca_file if folder else None)
    except (ssl.SSLError, OSError) as error:
        raise TlsSettings(
            f"authorities file {ca_file}: expected PEM certificates, got {error}", "authorities"
        ) from error


def _load_chain(context: ssl.SSLContext, certificate: str, key: str | None, password: str = "") -> None:
    _require_file(certificate, "certificate")
    if key is not None:
        _require_file(key, "key")
    try:
        # The empty password stops OpenSSL from asking on the terminal.
        context.load_cert_chain(certificate, key, password=password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _chain_fault(certificate, key, password, error) from error


PRIVATE_KEY: Final = re.compile(rb"^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----", re.MULTILINE)
ENCRYPTED_KEY: Final = re.compile(
    rb"^(-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: *4,ENCRYPTED)", re.MULTILINE
)
"""RFC 7468 §11, RFC 1421 §4.6.1.1."""
OTHER_KEY: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""What OpenSSL says of a key that is not the certificate's; the last word of a key of another kind."""


def _chain_fault(certificate: str, key: str | None, password: str, error: Exception) -> TlsSettings:
    """Say what is wrong with files that can be read; OpenSSL's own word is "PEM lib", whatever it is."""
    if not _holds_certificates(certificate):
        expected = "a PEM certificate expected, found none that can be read"
        return TlsSettings(f"certificate file {certificate}: {expected}", "certificate")
    which, file = ("certificate", certificate) if key is None else ("key", key)
    octets = Path(file).read_bytes()
    if getattr(error, "reason", None) in OTHER_KEY:
        fault = f"the private key of the certificate in {certificate} expected, got another one"
    elif not PRIVATE_KEY.search(octets):
        fault = "a PEM private key expected, found none" + (
            ", and no key file was named" if key is None else ""
        )
    elif not ENCRYPTED_KEY.search(octets):
        fault = f"a PEM private key expected, found one that cannot be read ({error})"
    elif password:
        fault = "its private key cannot be decrypted with the password that was given"
    else:
        fault = "a private key without a password expected, got one that is encrypted"
    return TlsSettings(f"{which} file {file}: {fault}", which)


def _holds_certificates(file: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return False
    return True


def _require_file(path: str, what: str) -> None:
    """Raise TlsSettings where there is no file that can be read."""
    try:
        with open(path, "rb"):
            return
    except FileNotFoundError:
        raise TlsSettings(f"{what} file {path}: no such file", what) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise TlsSettings(f"{what} file {path}: {reason.lower()}", what) from None
