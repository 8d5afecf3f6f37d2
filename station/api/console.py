"""The console's pages, scripts and texts: nothing from elsewhere. All pages are one frame with a script of their own."""

import re
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from station.api.context import Context
from station.domain.errors import NotFoundError

STATIC_DIR = Path(__file__).parent / "static"
_FRAME = Path(__file__).parent / "page.html"
_FRESH = {"Cache-Control": "no-cache"}
PAGES = {path: path[1:] or "start" for path in ("/", "/review", "/reports", "/users", "/audit", "/login", "/welcome", "/password", "/docs")}
"""Paths of pages that are about nothing in particular, each with its script."""
_LANE_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


class _FreshFiles(StaticFiles):
    """Static files that the browser must check before it uses its copy: after an update nobody works with an old console."""

    def file_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


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

    app.include_router(routes)
    app.mount("/static", _FreshFiles(directory=STATIC_DIR), name="static")
