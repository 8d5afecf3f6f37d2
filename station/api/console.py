"""The console's pages, scripts and texts: nothing from elsewhere. All pages are one frame with a script of their own."""

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Header, Response
from fastapi.responses import HTMLResponse, JSONResponse

from station.api.context import Context
from station.api.routing import mount
from station.domain.errors import NotFoundError

STATIC_DIR = Path(__file__).parent / "static"
_FRAME = Path(__file__).parent / "page.html"
_FRESH = {"Cache-Control": "no-cache"}
PAGES = {path: path[1:] or "start" for path in ("/", "/review", "/reports", "/users", "/audit", "/login", "/welcome", "/password", "/docs")}
"""Paths of pages that are about nothing in particular, each with its script."""
_LANE_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of the console in memory: whoever needs the page at which a lane is frozen waits for no disk and no thread."""

    content: bytes
    media_type: str
    etag: str


def _files() -> dict[str, _File]:
    """Every static file by its path."""
    found = {}
    for file in sorted(STATIC_DIR.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[file.relative_to(STATIC_DIR).as_posix()] = _File(content=content, media_type=media_type, etag=etag)
    return found


def _serve_files(routes: APIRouter) -> None:
    files = _files()

    @routes.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def static(path: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        file = files.get(path)
        if file is None:
            raise NotFoundError("No such file")
        # The browser must ask before it uses its copy: after an update nobody works with an old console.
        headers = {**_FRESH, "ETag": file.etag}
        if if_none_match is not None and file.etag in if_none_match:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)


def install(app: FastAPI, context: Context) -> None:
    """Serve the console, its texts, and the page that shows the interface's description."""
    routes = APIRouter(include_in_schema=False)
    texts = {language: context.texts.for_browser(language) for language in ("vi", "en")}

    frame = _FRAME.read_text(encoding="utf-8")

    def page(script: str) -> HTMLResponse:
        return HTMLResponse(frame.replace("{page}", script), headers=_FRESH)

    def serve(path: str, script: str) -> None:
        @routes.get(path)
        async def plain_page() -> HTMLResponse:
            return page(script)

    for path, script in PAGES.items():
        serve(path, script)

    @routes.get("/lane/{lane_id}")
    async def lane(lane_id: str) -> HTMLResponse:
        if _LANE_NAME.fullmatch(lane_id) is None:
            raise NotFoundError("No such page")
        return page("lane")

    @routes.get("/locales/{language}.json")
    async def locale(language: Literal["vi", "en"]) -> JSONResponse:
        return JSONResponse(texts[language], headers=_FRESH)

    _serve_files(routes)
    mount(app, routes)
