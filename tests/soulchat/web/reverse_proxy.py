"""A reverse proxy: hands requests on as they come, streams what is answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from soulchat.web.listening import bind

OF_ONE_CONNECTION = {"host", "connection", "transfer-encoding", "keep-alive", "date", "server"}


@contextmanager
def proxying(target: str, path: str = "", strips: bool = True, forwards_host: bool = True) -> Iterator[str]:
    """A proxy on a free port; gives its address with `path`, under which alone it has `target`.

    Args:
        target: the address of a page or server.
        path: such as "/soulchat".
        strips: the path is cut off before a request is handed on.
        forwards_host: in Host, as it came; else only in X-Forwarded-Host.
    """
    client = httpx.AsyncClient(timeout=60)

    async def hand_on(request: Request) -> Response:
        inside = request.url.path
        if not inside.startswith(path + "/"):
            return Response(status_code=404)
        headers = {name: value for name, value in request.headers.items() if name not in OF_ONE_CONNECTION}
        headers |= {"x-forwarded-for": request.client.host if request.client else "", "x-forwarded-proto": "http"}
        headers |= {"host" if forwards_host else "x-forwarded-host": request.headers["host"]}
        where = target + (inside.removeprefix(path) if strips else inside)
        asked = client.build_request(
            request.method, where, params=request.query_params, headers=headers, content=await request.body()
        )
        answer = await client.send(asked, stream=True)
        told = {name: value for name, value in answer.headers.items() if name not in OF_ONE_CONNECTION}
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, told, background=BackgroundTask(answer.aclose)
        )

    app = Starlette(routes=[Route("/{rest:path}", hand_on, methods=["GET", "POST", "HEAD", "OPTIONS"])])
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_level="critical", timeout_graceful_shutdown=1))
    listener = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    finally:
        server.should_exit = True
        thread.join()
