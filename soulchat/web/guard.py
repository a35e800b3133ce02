"""What every request to a page or to the server passes before anything of it is read."""

from collections.abc import Sequence
from contextvars import ContextVar

from fastapi import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .policy import PagePolicy

# The address that the current request comes from, for a login that is given only name and password.
client_address: ContextVar[str] = ContextVar("client_address", default="unknown")


def make_guard(
    hosts: Sequence[str],
    body_bytes: int,
    closed: Sequence[str] = (),
    origins: Sequence[str] = (),
    root_path: str = "",
) -> list[Middleware]:
    """The middleware of a page or server, outermost first.

    Args:
        hosts: Host headers that are answered, as `listening.local_names` has them; others get status 400.
        body_bytes: the longest request body; longer ones get status 413.
        closed: prefixes of paths that get status 404.
        origins: sites whose pages may ask, by a browser's rules (CORS).
        root_path: cut off where a reverse proxy hands it on.
    """
    cors = Middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST"], allow_headers=["*"])
    return [
        Middleware(PagePolicy),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        *([cors] if origins else []),
        *([Middleware(CutPath, root_path=root_path)] if root_path else []),
        Middleware(RequestBounds, body_bytes=body_bytes, closed=tuple(closed)),
    ]


class CutPath:
    """Takes the path of a reverse proxy off each request, as often as it stands there: none hides what is closed."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            while scope["path"].startswith(self.root_path + "/"):
                scope = {**scope, "path": scope["path"].removeprefix(self.root_path)}
        await self.app(scope, receive, send)


class RequestBounds:
    """Refuses closed paths, and request bodies that are too long, before they are in memory."""

    def __init__(self, app: ASGIApp, body_bytes: int, closed: tuple[str, ...]) -> None:
        self.app, self.body_bytes, self.closed = app, body_bytes, closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        seen = 0
        if scope["type"] == "http":
            client_address.set(scope["client"][0] if scope["client"] else "unknown")
            told = dict(scope["headers"]).get(b"content-length", b"0")
            if scope["path"].startswith(self.closed):
                app = _refuse(404, "Not Found")
            elif not told.isdigit() or int(told) > self.body_bytes:
                app = _refuse(413, self._refusal)

        async def receive_some() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.body_bytes:
                raise HTTPException(413, self._refusal)  # FastAPI's, which its reading of bodies lets through
            return message

        await app(scope, receive_some, send)

    @property
    def _refusal(self) -> str:
        return f"the request is too long; allowed: {self.body_bytes:,} bytes"


def _refuse(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status)
