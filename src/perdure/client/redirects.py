"""Redirects: which response is one, and what is asked next.

    status      method becomes                                   content
    301, 302    GET where it was POST; any other stays           dropped with POST, else sent again
    303         GET; HEAD stays                                  dropped
    307, 308    stays                                            sent again

Toward another origin (scheme, host or port) Authorization, Cookie and Proxy-Authorization stay behind. A
Cookie that the client itself said always does: what it says next depends on where, and on what was set.

RFC 9110 §15.4, §10.2.2 (Location).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from perdure.client.authentication import basic_of_url
from perdure.client.content import NO_CONTENT
from perdure.client.errors import ContentNotRepeatable, InvalidURL, RedirectError
from perdure.client.headers import RequestHeaders
from perdure.client.request import Request, SaidCookies
from perdure.client.urls import locate, presentable, resolved

if TYPE_CHECKING:
    from perdure.client.models import Message

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
SECRETS: Final = ("authorization", "cookie", "proxy-authorization")
OF_CONTENT: Final = (
    "content-type", "content-length", "content-encoding", "content-language", "content-location",
    "transfer-encoding", "expect", "content-digest", "repr-digest", "digest",
)  # fmt: skip


def is_redirect(response: Message) -> bool:
    """Whether a response names another place to ask. RFC 9110 §15.4."""
    return response.status in REDIRECTS and "location" in response.headers


def redirected(request: Request, response: Message) -> Request | None:
    """What to ask after a response; None where it is no redirect.

    Raises:
        RedirectError: its Location is no http or https URL.
        ContentNotRepeatable: the content would have to be sent again and cannot be.

    RFC 9110 §15.4.
    """
    if not is_redirect(response):
        return None
    url, user = _place(request, response)
    headers, server_hostname = RequestHeaders(request.headers.lines), request.server_hostname
    said = request.said
    if said.value and headers.get("cookie") == said.value:
        headers.discard("cookie")
    said = SaidCookies("", said.own, said.away)
    if not same_origin(request.url, url):
        said = SaidCookies(away=True)
        headers.discard("host", *SECRETS)
        server_hostname = ""
    headers.discard("transfer-encoding")
    method, content = redirected_method(request.method, response.status), request.content
    if method != request.method or response.status == 303:
        headers.discard(*OF_CONTENT)
        content = NO_CONTENT
    elif not content.replayable:
        raise ContentNotRepeatable(
            f"{response.status} to {url}: the content cannot be read a second time; give octets, a file"
            " or a list (9110 §15.4)",
            response,
        )
    if user:
        headers["Authorization"] = basic_of_url(user)
    following = Request(method, url, headers, content, server_hostname)
    following.said = said
    return following


def redirected_method(method: str, status: int) -> str:
    """The method that follows; see the table. RFC 9110 §15.4.2 to §15.4.4."""
    if status in (301, 302) and method == "POST":
        return "GET"
    if status == 303 and method != "HEAD":
        return "GET"
    return method


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs share scheme, host and port. RFC 9110 §4.3.1."""
    return locate(one).origin == locate(other).origin


def _place(request: Request, response: Message) -> tuple[str, str]:
    """Where it leads: (URL, user information)."""
    reference = _text(response.headers.get_list("location")[0])
    try:
        location = locate(resolved(request.url, reference))
    except InvalidURL as error:
        shown = presentable(reference)
        raise RedirectError(
            f"{response.status} to {shown!r}: expected an http or https URL (9110 §10.2.2)", response
        ) from error
    return location.url, location.user


def _text(value: str) -> str:
    """A Location as text: some servers send UTF-8, or other octets, that no URI has. RFC 3986 §2.

    What is not UTF-8 is percent-encoded octet by octet, so that the server is asked for what it said.
    """
    octets = value.encode("latin-1")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(octet) if octet < 128 else f"%{octet:02X}" for octet in octets)
