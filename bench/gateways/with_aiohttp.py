"""A gateway as people write one with aiohttp: `python -m bench.gateways.with_aiohttp PORT ORIGIN`.

It removes what belongs to one hop, adds Via and X-Forwarded-*, keeps connections on both sides,
hands short answers on in one piece and streams long ones. uvloop, and aiohttp's C parts.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

ONE_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "trailer",
        "content-length",
    ]
)
SHORT_OCTETS = 1 << 16
SESSION = web.AppKey("session", aiohttp.ClientSession)


def kept(fields: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The fields that cross."""
    return CIMultiDict((name, value) for name, value in fields.items() if name.lower() not in ONE_HOP)


def application(origin: str) -> web.Application:
    """What forwards to an origin."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, auto_decompress=False) as own:
            app[SESSION] = own
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        fields = kept(request.headers)
        fields["Via"] = "1.1 aiohttp"
        fields["X-Forwarded-For"] = request.remote or "unknown"
        fields["X-Forwarded-Proto"] = request.scheme
        fields["X-Forwarded-Host"] = request.host
        url = URL(origin + request.raw_path, encoded=True)
        data = request.content if request.body_exists else None
        own = request.app[SESSION]
        async with own.request(
            request.method, url, headers=fields, data=data, allow_redirects=False
        ) as answer:
            back = kept(answer.headers)
            back.add("Via", "1.1 aiohttp")
            if answer.content_length is not None and answer.content_length <= SHORT_OCTETS:
                return web.Response(status=answer.status, body=await answer.read(), headers=back)
            response = web.StreamResponse(status=answer.status, headers=back)
            response.content_length = answer.content_length
            await response.prepare(request)
            async for octets in answer.content.iter_any():
                await response.write(octets)
            return response

    made = web.Application()
    made.cleanup_ctx.append(session)
    made.router.add_route("*", "/{path:.*}", forward)
    return made


if __name__ == "__main__":
    uvloop.install()
    address = f"http://127.0.0.1:{sys.argv[2]}"
    web.run_app(
        application(address),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        backlog=1024,
    )
