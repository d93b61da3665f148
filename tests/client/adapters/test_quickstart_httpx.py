"""The examples of httpx's and httpx2's own quickstart, once over their transport and once over ours.

They are rewritten against a local origin. Each returns what its reader would look at, and what is
compared is that; so that a difference is ours, whatever the origin says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from perdure.client.adapters.httpx import AsyncTransport, Transport
from tests.client.adapters.local_origin import LINES, Origin

Example = Callable[[Any, Any, str], object]
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=fixed"}


def seen(response: Any) -> object:
    """What the origin says that it got."""
    said = response.json()
    return response.status_code, {name: said[name] for name in said if name != "headers"}, heads(said)


def heads(said: Any) -> dict[str, str]:
    """The fields that the origin got, without those that name the connection or its port."""
    return {
        name.lower(): value
        for name, value in said["headers"].items()
        if name.lower() not in ("connection", "host")
    }


def making_a_request(httpx: Any, client: Any, url: str) -> object:
    return [seen(getattr(client, method)(f"{url}/{method}")) for method in ("get", "delete", "options")]


def head(httpx: Any, client: Any, url: str) -> object:
    response = client.head(f"{url}/bytes/1000")
    return response.status_code, response.headers["content-length"], response.content


def passing_parameters(httpx: Any, client: Any, url: str) -> object:
    parameters = {"key1": "value1", "key2": ["value2", "value3"]}
    response = client.get(f"{url}/get", params=parameters)
    return str(response.url).removeprefix(url), seen(response)


def response_content(httpx: Any, client: Any, url: str) -> object:
    response = client.get(f"{url}/text")
    return response.text, response.encoding, response.content, response.charset_encoding


def binary_response_content(httpx: Any, client: Any, url: str) -> object:
    return [client.get(f"{url}/{coding}").content for coding in ("gzip", "deflate", "image")]


def json_response_content(httpx: Any, client: Any, url: str) -> object:
    return sorted(client.get(f"{url}/get").json())


def custom_headers(httpx: Any, client: Any, url: str) -> object:
    return seen(client.get(f"{url}/get", headers={"User-Agent": "my-app/0.0.1"}))


def form_encoded_data(httpx: Any, client: Any, url: str) -> object:
    return seen(client.post(f"{url}/post", data={"key1": "value1", "key2": ["value2", "value3"]}))


def multipart_file_uploads(httpx: Any, client: Any, url: str) -> object:
    files = {"upload-file": ("report.txt", b"<content>", "text/plain")}
    return seen(client.post(f"{url}/post", data={"message": "hello"}, files=files, headers=BOUNDARY))


def json_encoded_data(httpx: Any, client: Any, url: str) -> object:
    data = {"integer": 123, "boolean": True, "list": ["a", "b", "c"]}
    response = client.post(f"{url}/post", json=data)
    return seen(response), json.loads(response.json()["data"])


def binary_request_data(httpx: Any, client: Any, url: str) -> object:
    return seen(client.post(f"{url}/post", content=b"Hello, world"))


def streamed_request_data(httpx: Any, client: Any, url: str) -> object:
    return seen(client.post(f"{url}/post", content=iter([b"Hello, ", b"world"])))


def status_codes(httpx: Any, client: Any, url: str) -> object:
    response = client.get(f"{url}/status/404")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()
    ok = client.get(f"{url}/get").raise_for_status()
    return response.status_code, response.reason_phrase, caught.value.request.method, ok.is_success


def response_headers(httpx: Any, client: Any, url: str) -> object:
    response = client.get(f"{url}/gzip")
    return [pair for pair in response.headers.multi_items() if pair[0] != "date"]


def streaming_responses(httpx: Any, client: Any, url: str) -> object:
    with client.stream("GET", f"{url}/stream") as response:
        lines = list(response.iter_lines())
    with client.stream("GET", f"{url}/gzip") as response:
        text = "".join(response.iter_text())
    with client.stream("GET", f"{url}/gzip") as response:
        raw = b"".join(response.iter_raw())
    with client.stream("GET", f"{url}/stream") as response:
        if int(response.headers.get("content-length", "0")) < 1:
            octets = response.read()
    assert lines == LINES
    return lines, text, raw, octets


def cookies(httpx: Any, client: Any, url: str) -> object:
    set_here = client.get(f"{url}/cookies/set?chocolate=chip")
    sent = client.get(f"{url}/cookies", headers={"Cookie": "peanut=butter"})
    return dict(set_here.cookies), sent.json()


def redirection(httpx: Any, client: Any, url: str) -> object:
    plain = client.get(f"{url}/redirect")
    followed = client.get(f"{url}/redirect", follow_redirects=True)
    next_url = str(plain.next_request.url).removeprefix(url)
    return plain.status_code, next_url, [old.status_code for old in followed.history], seen(followed)


def timeouts(httpx: Any, client: Any, url: str) -> object:
    with pytest.raises(httpx.ReadTimeout) as caught:
        client.get(f"{url}/wait", timeout=0.05)
    return type(caught.value).__name__, str(caught.value.request.url).removeprefix(url)


def authentication(httpx: Any, client: Any, url: str) -> object:
    wrong = client.get(f"{url}/basic-auth/user/pass")
    right = client.get(f"{url}/basic-auth/user/pass", auth=("user", "pass"))
    return wrong.status_code, right.json()


def exceptions(httpx: Any, client: Any, url: str) -> object:
    found = []
    for asked in ("http://127.0.0.1:1/", "unknown://origin.test/"):
        with pytest.raises(httpx.RequestError) as caught:
            client.get(asked)
        found.append((type(caught.value).__name__, str(caught.value.request.url)))
    return found


def event_hooks(httpx: Any, client: Any, url: str) -> object:
    told: list[str] = []
    client.event_hooks = {
        "request": [lambda request: told.append(f"asked {request.method}")],
        "response": [lambda response: told.append(f"answered {response.status_code}")],
    }
    client.get(f"{url}/get")
    return told


EXAMPLES: list[Example] = [
    making_a_request,
    head,
    passing_parameters,
    response_content,
    binary_response_content,
    json_response_content,
    custom_headers,
    form_encoded_data,
    multipart_file_uploads,
    json_encoded_data,
    binary_request_data,
    streamed_request_data,
    status_codes,
    response_headers,
    streaming_responses,
    cookies,
    redirection,
    timeouts,
    authentication,
    exceptions,
    event_hooks,
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.__name__))
def test_an_example_gives_what_it_gives_over_the_original_transport(
    package: Any, origin: Origin, example: Example
) -> None:
    outcomes = []
    for transport in (package.HTTPTransport(), Transport()):
        with package.Client(transport=transport) as client:
            outcomes.append(example(package, client, origin.url))
    assert outcomes[1] == outcomes[0]


async def asynchronous(package: Any, transport: Any, url: str) -> object:
    """The examples of the page on async support, in one."""

    async def upload() -> Any:
        for piece in (b"Hello, ", b"world"):
            yield piece

    async with package.AsyncClient(transport=transport) as client:
        got = seen(await client.get(f"{url}/get"))
        posted = seen(await client.post(f"{url}/post", content=upload()))
        async with client.stream("GET", f"{url}/stream") as response:
            lines = [line async for line in response.aiter_lines()]
        request = client.build_request("GET", f"{url}/gzip")
        response = await client.send(request, stream=True)
        raw = b"".join([piece async for piece in response.aiter_raw()])
        await response.aclose()
        many = await asyncio.gather(*[client.get(f"{url}/bytes/{size}") for size in range(20)])
        return got, posted, lines, raw, [len(response.content) for response in many]


def test_async_examples_give_what_they_give_over_the_original_transport(package: Any, origin: Origin) -> None:
    outcomes = [
        asyncio.run(asynchronous(package, transport, origin.url))
        for transport in (package.AsyncHTTPTransport(), AsyncTransport())
    ]
    assert outcomes[1] == outcomes[0]
