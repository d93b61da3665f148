"""Run the application of the table on aiohttp: run_aiohttp.py PORT SETTINGS-AS-JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop
from aiohttp import web

from bench.servers.applications import Deliberate, echo, pause_before, plan_for, reads


async def handle(request: Any) -> Any:
    if pause := pause_before(request.path):
        await asyncio.sleep(pause)
    plan = echo(await request.read()) if reads(request.path) else plan_for(request.path)
    if plan.fails_after == 0:
        raise Deliberate(request.path)
    if len(plan.parts) == 1 and plan.fails_after is None:
        return web.Response(status=plan.status, body=plan.parts[0], content_type="text/plain")
    response = web.StreamResponse(status=plan.status, headers={"Content-Type": "text/plain"})
    response.content_length = plan.length
    await response.prepare(request)
    for part in plan.parts:
        await response.write(part)
    if plan.fails_after is not None:
        raise Deliberate(request.path)
    await response.write_eof()
    return response


def main(port: str, settings: str) -> None:
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", handle)
    loop = uvloop.new_event_loop()
    web.run_app(
        application,
        host="127.0.0.1",
        port=int(port),
        print=None,
        access_log=None,
        loop=loop,
        **json.loads(settings),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
