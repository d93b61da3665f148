"""The examples of requests' own quickstart, once over its adapter and once over ours.

They are rewritten against a local origin. Each returns what its reader would look at, and what is
compared is that; so that a difference is ours, whatever the origin says.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from perdure.client.adapters.requests import Adapter
from tests.client.adapters.local_origin import LINES, PIXEL, Origin
from tests.client.adapters.test_quickstart_httpx import seen

Example = Callable[[requests.Session, str], object]


def make_a_request(session: requests.Session, url: str) -> object:
    return [
        seen(getattr(session, method)(f"{url}/{method}"))
        for method in ("get", "post", "put", "delete", "options")
    ]


def head(session: requests.Session, url: str) -> object:
    response = session.head(f"{url}/bytes/1000")
    return response.status_code, response.headers["Content-Length"], response.content


def passing_parameters_in_urls(session: requests.Session, url: str) -> object:
    payload: Any = {"key1": "value1", "key2": ["value2", "ü"], "none": None}
    response = session.get(f"{url}/get", params=payload)
    return response.url.removeprefix(url), seen(response)


def response_content(session: requests.Session, url: str) -> object:
    response = session.get(f"{url}/text")
    return response.text, response.encoding, response.content, response.apparent_encoding


def binary_response_content(session: requests.Session, url: str) -> object:
    assert io.BytesIO(session.get(f"{url}/image").content).read() == PIXEL
    return [session.get(f"{url}/{coding}").content for coding in ("gzip", "deflate", "image")]


def json_response_content(session: requests.Session, url: str) -> object:
    with pytest.raises(requests.exceptions.JSONDecodeError):
        session.get(f"{url}/text").json()
    return sorted(session.get(f"{url}/get").json())


def raw_response_content(session: requests.Session, url: str) -> object:
    response = session.get(f"{url}/bytes/1000", stream=True)
    first = response.raw.read(10)
    pieces = [len(piece) for piece in response.iter_content(chunk_size=128)]
    packed = session.get(f"{url}/gzip", stream=True)
    return first, pieces, packed.raw.status, packed.raw.reason, packed.raw.version, packed.raw.read()


def streaming(session: requests.Session, url: str) -> object:
    with session.get(f"{url}/stream", stream=True) as response:
        lines = [line.decode() for line in response.iter_lines()]
    assert lines == LINES
    return [json.loads(line) for line in lines]


def custom_headers(session: requests.Session, url: str) -> object:
    return seen(session.get(f"{url}/get", headers={"user-agent": "my-app/0.0.1"}))


def more_complicated_post_requests(session: requests.Session, url: str) -> object:
    return [
        seen(session.post(f"{url}/post", data={"key1": "value1"})),
        seen(session.post(f"{url}/post", data=[("key1", "value1"), ("key1", "value2")])),
        seen(session.post(f"{url}/post", data=json.dumps({"some": "data"}))),
        seen(session.post(f"{url}/post", json={"some": "data"})),
    ]


def post_a_multipart_encoded_file(session: requests.Session, url: str) -> object:
    files: Any = {"file": ("report.csv", "some,data\n", "text/csv", {"Expires": "0"})}
    said = session.post(f"{url}/post", files=files, data={"field": "value"}).json()
    return said["files"], said["form"]


def streaming_uploads(session: requests.Session, url: str) -> object:
    whole = seen(session.post(f"{url}/post", data=io.BytesIO(b"some body")))
    chunked = seen(session.post(f"{url}/post", data=iter([b"hi", b"there"])))
    return whole, chunked


def response_status_codes(session: requests.Session, url: str) -> object:
    response = session.get(f"{url}/status/404")
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    ok = session.get(f"{url}/get")
    return response.status_code, response.reason, str(caught.value).replace(url, ""), ok.ok


def response_headers(session: requests.Session, url: str) -> object:
    headers = session.get(f"{url}/gzip").headers
    return {name: value for name, value in headers.items() if name != "Date"}


def cookies(session: requests.Session, url: str) -> object:
    first = session.get(f"{url}/cookies/set?sessioncookie=123456789")
    jar = requests.cookies.RequestsCookieJar()
    jar.set("tasty_cookie", "yum", path="/cookies")
    jar.set("gross_cookie", "blech", path="/elsewhere")
    second = session.get(f"{url}/cookies", cookies=jar)
    return first.json(), second.json(), session.cookies.get_dict()


def redirection_with_history(session: requests.Session, url: str) -> object:
    followed = session.get(f"{url}/redirect")
    plain = session.get(f"{url}/redirect", allow_redirects=False)
    return [old.status_code for old in followed.history], seen(followed), plain.status_code, plain.text


def timeouts(session: requests.Session, url: str) -> object:
    with pytest.raises(requests.Timeout) as caught:
        session.get(f"{url}/wait", timeout=0.05)
    asked = caught.value.request
    return type(caught.value).__name__, None if asked is None else str(asked.url).removeprefix(url)


def errors_exceptions(session: requests.Session, url: str) -> object:
    found = []
    for asked in ("http://127.0.0.1:1/", "http://", "unknown://origin.test/"):
        with pytest.raises(requests.RequestException) as caught:
            session.get(asked)
        found.append(type(caught.value).__name__)
    return found


def authentication(session: requests.Session, url: str) -> object:
    wrong = session.get(f"{url}/basic-auth/user/pass")
    right = session.get(f"{url}/basic-auth/user/pass", auth=("user", "pass"))
    return wrong.status_code, right.json()


def prepared_requests(session: requests.Session, url: str) -> object:
    prepared = session.prepare_request(requests.Request("POST", f"{url}/post", data="no, this is new"))
    prepared.headers["X-Own"] = "one"
    return seen(session.send(prepared, stream=False, timeout=5))


def event_hooks(session: requests.Session, url: str) -> object:
    told: list[int] = []
    session.get(f"{url}/get", hooks={"response": lambda response, **_: told.append(response.status_code)})
    return told


def keep_alive(session: requests.Session, url: str) -> object:
    """Five requests, one connection: the origin is asked about it by the test."""
    return [session.get(f"{url}/bytes/{size}").content for size in range(5)]


EXAMPLES: list[Example] = [
    make_a_request,
    head,
    passing_parameters_in_urls,
    response_content,
    binary_response_content,
    json_response_content,
    raw_response_content,
    streaming,
    custom_headers,
    more_complicated_post_requests,
    post_a_multipart_encoded_file,
    streaming_uploads,
    response_status_codes,
    response_headers,
    cookies,
    redirection_with_history,
    timeouts,
    errors_exceptions,
    authentication,
    prepared_requests,
    event_hooks,
    keep_alive,
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.__name__))
def test_an_example_gives_what_it_gives_over_the_original_adapter(origin: Origin, example: Example) -> None:
    outcomes = []
    for adapter in (HTTPAdapter(), Adapter()):
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", adapter)
            outcomes.append(example(session, origin.url))
    assert outcomes[1] == outcomes[0]


def test_the_example_of_retries_gives_what_it_gives_over_the_original_adapter(origin: Origin) -> None:
    outcomes = []
    for kind in (HTTPAdapter, Adapter):
        retries = Retry(total=3, backoff_factor=0.001, status_forcelist=[502, 503, 504])
        with requests.Session() as session:
            session.mount("http://", kind(max_retries=retries))
            with pytest.raises(requests.exceptions.RetryError):
                session.get(f"{origin.url}/status/503")
            outcomes.append(origin.requests.count("GET /status/503"))
            origin.requests.clear()
    assert outcomes == [4, 4]
