"""`/certificates`: what proves, to somebody who has nothing else, that a piece was screened, cleared, disinfected and released."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from station.api.callers import Needs
from station.api.context import Context
from station.api.pieces import PieceIdPath
from station.api.routing import resource
from station.domain.access import Action, Caller

SeesCertificates = Annotated[Caller, Depends(Needs(Action.SEE_CERTIFICATES))]

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/json": {"schema": {"type": "object"}}},
        "description": "The certificate, byte for byte what `station certificate export` writes; its schema is in the documents.",
    },
}


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/certificates", tag="certificates")

    @routes.get("/{piece_id}", responses=_ANSWERS, response_class=Response)
    def certificate(caller: SeesCertificates, piece_id: PieceIdPath) -> Response:
        """The clearance certificate of a released piece; of a marked one in the form that tells nothing of its content.

        409 `certificate-not-released`, `certificate-not-yet` (ask again in a few seconds), `certificate-not-provable`.
        """
        context.sight(caller).demand(piece_id)
        return Response(context.certify(piece_id), media_type="application/json")

    return routes
