"""How the routes of a resource come into the application."""

from fastapi import APIRouter, FastAPI

from station.api.problems import ANSWER


def resource(prefix: str = "", *, tag: str) -> APIRouter:
    """Where a resource's routes are written down: under `/api/v1`, each with its own answers and a problem as any other."""
    return APIRouter(prefix=f"/api/v1{prefix}", tags=[tag], responses=ANSWER)


def mount(app: FastAPI, routes: APIRouter) -> None:
    """Serve these routes.

    FastAPI's `include_router` would make every route once more at the first request, and at each later one look through them router by
    router.
    """
    app.router.routes.extend(routes.routes)
