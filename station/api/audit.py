"""`/audit`: the signed checkpoints of the audit log, its facts with their leaves, and the proof that a leaf stands in it."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator, AwareDatetime

from station.api import audit_shapes as shapes
from station.api.callers import Needs
from station.api.context import Context
from station.api.routing import resource
from station.api.sight import SeenView
from station.domain.access import Action, Caller
from station.domain.errors import NotFoundError
from station.ports.auditing import FACT_TYPES

_LARGEST = 2**53 - 1


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time in UTC") from error


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
SeesAudit = Annotated[Caller, Depends(Needs(Action.SEE_AUDIT))]
LeafPath = Annotated[int, Path(ge=0, le=_LARGEST)]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/audit", tag="audit")
    proofs = context.proofs

    @routes.get("")
    def stand(caller: SeesAudit) -> shapes.AuditStandOut:
        """How the log stands, with its newest checkpoint and the newest that a witness signed too."""
        return shapes.stand_out(context.sight(caller).read(lambda view: view.audit_standing(proofs)))

    @routes.get("/facts")
    def facts(
        caller: SeesAudit,
        fact_type: Annotated[
            str | None, Query(alias="type", max_length=64, description="One type of fact, `StateChange` for example.")
        ] = None,
        piece_id: Annotated[
            str | None, Query(max_length=64, description="Facts about this piece, or of the station's own under this name.")
        ] = None,
        since: Annotated[Moment | None, Query(description="Facts that carry this time or a later one.")] = None,
        until: Annotated[Moment | None, Query(description="Facts that carry an earlier time.")] = None,
        after: Annotated[int | None, Query(ge=0, le=_LARGEST, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> shapes.LoggedFactsOut:
        """Facts with their leaves, newest first, of what the caller may know; what is not told leaves a gap in the numbers of the leaves.

        What would tell a second reader of a first one is told when the piece is decided, or the freeze over.
        """
        wanted = FACT_TYPES.get(fact_type) if fact_type is not None else None
        if fact_type is not None and wanted is None:
            raise NotFoundError("There is no such type of fact", remedy="Take one that a fact of the list has")
        sight = context.sight(caller)

        def query(view: SeenView) -> shapes.LoggedFactsOut:
            found = view.logged_facts(fact_type=wanted, subject=piece_id, since=since, until=until, below=after, limit=limit + 1)
            newest = view.audit_standing(proofs).newest
            signed = 0 if newest is None else newest.size
            items = [shapes.logged_fact_out(fact, sight, signed=signed) for fact in found[:limit]]
            return shapes.LoggedFactsOut(items=items, next=items[-1].leaf_index if len(found) > limit else None)

        return sight.read(query)

    @routes.get("/leaves/{leaf_index}/proof")
    def proof(caller: SeesAudit, leaf_index: LeafPath) -> shapes.InclusionOut:
        """The proof that a leaf stands in the log, to the newest witnessed checkpoint that covers it, else to the newest.

        409 `certificate-not-yet` (ask again in a few seconds), `leaf-not-provable`.
        """

        def query(view: SeenView) -> shapes.InclusionOut:
            fact = view.logged_fact(leaf_index)
            if fact is None:
                raise NotFoundError("There is no such leaf", remedy="Take the number from the list of facts")
            return shapes.inclusion_out(fact, view.inclusion(proofs, fact))

        return context.sight(caller).read(query)

    return routes
