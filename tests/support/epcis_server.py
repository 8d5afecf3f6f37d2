"""A small EPCIS 2.0 repository on a real port: captures single events, knows them by their eventID, and may behave badly."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import jsonschema_rs
from fastapi import FastAPI, Request, Response

from station.api.receiver import serve_receiver


class Repository:
    """`mishaps` are used up one for each POST: `lost` captures and answers 500, `later` captures and answers 202, `busy` answers 429.

    `tells`: whether it answers what it holds. `token`: what a client must bear.
    """

    def __init__(self, schema: dict[str, Any] | None = None, *, tells: bool = True, token: str | None = None) -> None:
        self.captured: list[dict[str, Any]] = []
        self.mishaps: list[str] = []
        self.tells = tells
        self._token = token
        self._checker = None if schema is None else jsonschema_rs.Draft7Validator(schema, validate_formats=True)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/events/{event_id}")
        def tell(event_id: str, request: Request) -> Response:
            if not self.tells:
                return Response(status_code=405)
            found = [event for event in self.captured if event["eventID"] == event_id]
            if not self._is_known(request) or not found:
                return Response(status_code=404 if self._is_known(request) else 401)
            return Response(json.dumps(found[0]), media_type="application/ld+json")

        @app.post("/events")
        async def capture(request: Request) -> Response:
            event = json.loads(await request.body())
            assert request.headers["gs1-extensions"] == "kt1=urn:kt1:ns:"
            if not self._is_known(request):
                return Response(status_code=401)
            if self._checker is not None and [*self._checker.iter_errors(event)]:
                return Response(status_code=400)
            mishap = self.mishaps.pop(0) if self.mishaps else ""
            if mishap == "busy":
                return Response(status_code=429, headers={"retry-after": "2"})
            if any(known["eventID"] == event["eventID"] for known in self.captured):
                return Response(status_code=409)
            self.captured.append(event)
            status = {"lost": 500, "later": 202}.get(mishap, 201)
            return Response(status_code=status, headers={"location": f"/events/{event['eventID']}"})

        return app

    def _is_known(self, request: Request) -> bool:
        return self._token is None or request.headers.get("authorization") == f"Bearer {self._token}"


@asynccontextmanager
async def repository_at(repository: Repository) -> AsyncIterator[str]:
    """Serve in this loop; gives the base URL."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = serve_receiver(repository.app(), "127.0.0.1", 0, lambda host, port: ready.set_result(f"http://{host}:{port}"))
    task = asyncio.create_task(serving)
    try:
        yield await ready
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
