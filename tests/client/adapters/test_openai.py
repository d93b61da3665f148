"""A public SDK over our connections: openai's, which takes `http_client=`, sync and async.

Every request is a POST, which may not be repeated: only a connection that is surely open will do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import openai
import pytest

from perdure.client.adapters.httpx import AsyncTransport, Transport
from tests.client.adapters.local_origin import Handler, Origin, serving

MANY = {"httpx2": 1000, "httpx": 100}
"""Requests; the SDK takes its time for each, and httpx2 is what it uses by itself."""
WORDS = ["keep", "alive"]
MESSAGES: list[Any] = [{"role": "user", "content": "say something"}]


class Model(Handler):
    """Answers chats: at once, or word by word as server-sent events."""

    def respond(self) -> None:
        asked = json.loads(self.content())
        assert self.path == "/v1/chat/completions"
        if asked.get("stream"):
            self.begin_chunks("text/event-stream")
            for word in WORDS:
                delta = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
                self.send_chunk(b"data: " + json.dumps(completion("chunk", delta)).encode() + b"\n\n")
            self.send_chunk(b"data: [DONE]\n\n")
            self.send_chunk(b"")
            return
        message = {"role": "assistant", "content": asked["messages"][0]["content"]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        content = json.dumps(completion("completion", choice)).encode()
        self.answer(content, "application/json")

    do_POST = respond


class HintingModel(Model):
    """Says how long it keeps idle connections."""

    hints: ClassVar[dict[str, str]] = {"Keep_Alive": "timeout=60", "Connection": "keep-alive"}


@pytest.fixture
def hinting() -> Iterator[Origin]:
    """A server of the model that hints."""
    with serving(HintingModel) as origin:
        yield origin


def completion(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "one",
        "object": f"chat.{kind}",
        "created": 0,
        "model": "local",
        "choices": [choice],
    }


@pytest.fixture(params=[Model, HintingModel])
def model(request: pytest.FixtureRequest) -> Iterator[Origin]:
    """A server of the model; the first says nothing of how long it keeps connections."""
    with serving(request.param) as origin:
        yield origin


def requests_to(package: Any, model: Origin) -> int:
    return MANY[package.__name__] if model.RequestHandlerClass is HintingModel else 100


def most(model: Origin, requests: int) -> int:
    """Connections that the requests may take, all told: one.

    A server without hints is another matter: as long as nothing is known of how long an idle
    connection lives there, or after a longer gap than any before, a POST takes a fresh one.
    """
    return 1 if model.RequestHandlerClass is HintingModel else requests // 4


def test_a_list_of_models_may_be_asked_for_again_and_so_needs_no_hint(package: Any) -> None:
    class Catalogue(Handler):
        def respond(self) -> None:
            self.answer_json({"object": "list", "data": []})

        do_GET = respond

    with (
        serving(Catalogue) as origin,
        openai.OpenAI(
            api_key="none", base_url=f"{origin.url}/v1", http_client=package.Client(transport=Transport())
        ) as client,
    ):
        for _ in range(100):
            assert list(client.models.list()) == []
        assert origin.accepted == 1


@pytest.mark.slow
def test_a_thousand_chats_share_a_connection(package: Any, model: Origin) -> None:
    requests = requests_to(package, model)
    with openai.OpenAI(
        api_key="none",
        base_url=f"{model.url}/v1",
        max_retries=0,
        http_client=package.Client(transport=Transport()),
    ) as client:
        for number in range(requests):
            asked: list[Any] = [{"role": "user", "content": f"number {number}"}]
            answer = client.chat.completions.create(model="local", messages=asked)
            assert answer.choices[0].message.content == f"number {number}"
    assert model.accepted <= most(model, requests)


@pytest.mark.slow
def test_a_thousand_chats_share_a_connection_on_an_event_loop(package: Any, model: Origin) -> None:
    requests = requests_to(package, model)

    async def chat() -> None:
        async with openai.AsyncOpenAI(
            api_key="none",
            base_url=f"{model.url}/v1",
            max_retries=0,
            http_client=package.AsyncClient(transport=AsyncTransport()),
        ) as client:
            for number in range(requests):
                asked: list[Any] = [{"role": "user", "content": f"number {number}"}]
                answer = await client.chat.completions.create(model="local", messages=asked)
                assert answer.choices[0].message.content == f"number {number}"

    asyncio.run(chat())
    assert model.accepted <= most(model, requests)


def test_events_are_streamed(package: Any, hinting: Origin) -> None:
    with openai.OpenAI(
        api_key="none", base_url=f"{hinting.url}/v1", http_client=package.Client(transport=Transport())
    ) as client:
        for _ in range(20):
            stream = client.chat.completions.create(model="local", messages=MESSAGES, stream=True)
            assert [event.choices[0].delta.content for event in stream] == WORDS
    assert hinting.accepted == 1


def test_events_are_streamed_on_an_event_loop(package: Any, hinting: Origin) -> None:
    async def chat() -> None:
        async with openai.AsyncOpenAI(
            api_key="none",
            base_url=f"{hinting.url}/v1",
            http_client=package.AsyncClient(transport=AsyncTransport()),
        ) as client:
            for _ in range(20):
                stream = await client.chat.completions.create(model="local", messages=MESSAGES, stream=True)
                assert [event.choices[0].delta.content async for event in stream] == WORDS

    asyncio.run(chat())
    assert hinting.accepted == 1


def test_errors_are_the_sdks_own(package: Any, unused_port: int) -> None:
    with (
        openai.OpenAI(
            api_key="none",
            base_url=f"http://127.0.0.1:{unused_port}/v1",
            max_retries=0,
            http_client=package.Client(transport=Transport()),
        ) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.chat.completions.create(model="local", messages=MESSAGES)
