"""Errors as RFC 9457 problem details, with a stable code and both languages: the one place where errors meet HTTP."""

import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from station.api.lists import ListFailedError
from station.api.texts import LANGUAGES, Texts
from station.domain import errors
from station.ports.access import TooBusyError
from station.workflow.refusals import KeyReusedError, NotLoggedInError, TooManyTriesError

MEDIA_TYPE = "application/problem+json"
CHALLENGE = "Bearer"
"""How a program may make itself known. People do it on a page of the console, so a browser must not ask by itself."""
_BUSY_S = 2
_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """An error (RFC 9457): `title` in the asked language, `titles` in each, `detail` for the technician; `errors` in the request."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    code: str
    detail: str
    titles: dict[str, str]
    errors: list[dict[str, str]] = []


ANSWER: dict[int | str, dict[str, Any]] = {
    "default": {"description": "An error, as problem details (RFC 9457).", "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
}
"""What every route may answer besides what it is for."""

STATUS: dict[type[errors.StationError], HTTPStatus] = {
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.TransitionError: HTTPStatus.CONFLICT,
    errors.RefusedError: HTTPStatus.FORBIDDEN,
    errors.IdentifierError: HTTPStatus.UNPROCESSABLE_ENTITY,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotLoggedInError: HTTPStatus.UNAUTHORIZED,
    TooManyTriesError: HTTPStatus.TOO_MANY_REQUESTS,
    TooBusyError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    ListFailedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeviceUnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeviceError: HTTPStatus.BAD_GATEWAY,
    errors.StationError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each family; a subclass takes that of its nearest ancestor."""


class RequestError(errors.StationError):
    """A request that breaks a rule of the interface itself."""

    status = HTTPStatus.BAD_REQUEST
    code = "request-invalid"


class KeyMissingError(RequestError):
    """A write came without an idempotency key."""

    code = "idempotency-key-missing"


def status_of(error: errors.StationError) -> HTTPStatus:
    """The HTTP status for an error."""
    if isinstance(error, RequestError):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _text_id(texts: Texts, error: errors.StationError) -> str:
    for kind in type(error).__mro__:
        code = getattr(kind, "code", None)
        if code is not None and texts.has(f"problem-{code}"):
            return f"problem-{code}"
    return "problem-station-error"


def document(
    texts: Texts, *, code: str, status: HTTPStatus, detail: str, language: str, text_id: str | None = None, **more: object
) -> dict[str, object]:
    """The members of a problem: `title` in the asked language, `titles` in every language, `detail` for the technician."""
    message_id = text_id or f"problem-{code}"
    return {
        "type": f"urn:kt1:problem:{code}",
        "title": texts.text(language, message_id),
        "status": status.value,
        "code": code,
        "detail": detail,
        "titles": {each: texts.text(each, message_id) for each in LANGUAGES},
        **more,
    }


def language_of(request: Request) -> str:
    """The language to answer in: the first one of `Accept-Language` that the station speaks, else Vietnamese."""
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower().split("-")[0]
        if tag in LANGUAGES:
            return tag
    return LANGUAGES[0]


def problem(status: HTTPStatus, body: dict[str, object]) -> JSONResponse:
    """The response that carries a problem."""
    return JSONResponse(body, status_code=status.value, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def install(app: FastAPI, texts: Texts) -> None:
    """Answer every error of the application as a problem."""

    async def station_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, errors.StationError)  # noqa: S101 - registered for this class alone
        status = status_of(error)
        language = language_of(request)
        body = document(texts, code=error.code, status=status, detail=str(error), language=language, text_id=_text_id(texts, error))
        answer = problem(status, body)
        if status is HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = CHALLENGE
        elif status is HTTPStatus.TOO_MANY_REQUESTS:
            answer.headers["Retry-After"] = str(math.ceil(getattr(error, "retry_after_s", _BUSY_S)))
        return answer

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        places = [{"where": ".".join(str(part) for part in found["loc"]), "what": found["msg"]} for found in error.errors()[:20]]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(f"{place['where']}: {place['what']}" for place in places)
        return problem(
            status, document(texts, code="request-invalid", status=status, detail=detail, language=language_of(request), errors=places)
        )

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        status = HTTPStatus(error.status_code)
        code = {404: "not-found", 405: "method-not-allowed", 413: "request-too-large"}.get(error.status_code, "request-invalid")
        answer = problem(status, document(texts, code=code, status=status, detail=status.phrase, language=language_of(request)))
        answer.headers.update(error.headers or {})
        return answer

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # What went wrong inside stays inside: it may name a piece or a file.
        _log.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = "The request failed inside the station; its log says why"
        return problem(status, document(texts, code="internal", status=status, detail=detail, language=language_of(request)))

    app.add_exception_handler(errors.StationError, station_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected)
