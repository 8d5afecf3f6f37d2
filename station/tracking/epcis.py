"""Events to any EPCIS 2.0 repository: one ObjectEvent for each event of the outbox (decision 0099).

Sources: GS1 EPCIS 2.0, REST bindings, `POST /events` (synchronous capture of one event, 201) and `GET /events/{eventID}`; section 7.4.1
(eventID is unique over all events).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from station.ports.outbox import OutboxEvent
from station.ports.tracking import Answer, Link, ReceiverUnreachableError, Reply
from station.tracking.answers import answer_of
from station.tracking.verdict import BODY_DIFFERS

CONTENT_TYPE = "application/ld+json"
HEADERS: MappingProxyType[str, str] = MappingProxyType(
    {
        "accept": f"{CONTENT_TYPE}, application/json",
        "gs1-epcis-version": "2.0.0",
        "gs1-cbv-version": "2.0.0",
        "gs1-extensions": "kt1=urn:kt1:ns:",
    }
)
_LONGEST_LOCATION = 300
HASH = "kt1:bodySha256"
_HASH_EXPANDED = "urn:kt1:ns:bodySha256"
# No such event, or a repository that captures and does not tell this client what it holds.
_NOTHING_TOLD = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.FORBIDDEN}
)


def epcis_id(event_id: str) -> str:
    """The `eventID` of an event of the outbox: a URI that stays the same over retries."""
    return f"urn:kt1:event:{quote(event_id, safe=':')}"


def epcis_event(event: OutboxEvent) -> dict[str, Any]:
    """The ObjectEvent that goes into the repository: the event's data, and what its envelope says besides.

    Its `eventID` and the hash of the whole message let a repetition be told from another event, `kt1:sequence` and `kt1:visit` let a
    reader put the events of a piece into order.
    """
    message = json.loads(event.body)
    return {
        **message["data"],
        "eventID": epcis_id(event.event_id),
        HASH: body_sha256(event),
        "kt1:sequence": message["sequence"],
        "kt1:visit": message["visit"],
    }


def body_sha256(event: OutboxEvent) -> str:
    """The hash by which an event is known again."""
    return hashlib.sha256(event.body.encode()).hexdigest()


class EpcisSender:
    """`station.ports.tracking.EventSender` for an EPCIS 2.0 repository.

    Before each attempt the repository is asked whether it has the event, so that an answer that was lost doubles nothing. `token` is a
    bearer token, if the repository wants one.
    """

    def __init__(self, link: Link, *, token: str | None = None) -> None:
        self._link = link
        self._headers = {**HEADERS, **({"authorization": f"Bearer {token}"} if token else {})}

    async def send(self, event: OutboxEvent) -> Answer:
        """Make one attempt. Raises `ReceiverUnreachableError`, also when the repository took the event and has not captured it yet."""
        known = await self._ask(event)
        if known is not None:
            return known
        body = json.dumps(epcis_event(event), ensure_ascii=False, separators=(",", ":")).encode()
        reply = await self._link.request("POST", "/events", body, {**self._headers, "content-type": CONTENT_TYPE})
        if reply.status == HTTPStatus.ACCEPTED:
            raise ReceiverUnreachableError("The repository took the event and has not captured it yet (202)", remedy="Wait")
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return _captured(event, reply)
        if reply.status == HTTPStatus.CONFLICT:
            return await self._ask(event) or Answer(status=reply.status, body=reply.text, problem="eventID known, content not told")
        return answer_of(reply)

    async def close(self) -> None:
        """Drop the connections."""
        await self._link.close()

    async def _ask(self, event: OutboxEvent) -> Answer | None:
        """What the repository says of an event that it may have; None when it has none, or does not tell."""
        reply = await self._link.request("GET", f"/events/{quote(epcis_id(event.event_id), safe='')}", b"", self._headers)
        if reply.status in _NOTHING_TOLD:
            return None
        if reply.status != HTTPStatus.OK:
            return answer_of(reply)
        try:
            hashes = {_hash_of(one) for one in _events(json.loads(reply.text)) if one.get("eventID") == epcis_id(event.event_id)}
        except (ValueError, RecursionError):
            hashes = set()
        if hashes == {body_sha256(event)}:
            return _captured(event, reply)
        if hashes and None not in hashes:
            return Answer(status=HTTPStatus.CONFLICT, body=reply.text, problem=BODY_DIFFERS)
        return Answer(status=HTTPStatus.CONFLICT, body=reply.text, problem=f"the repository's event does not carry {HASH}")


def _captured(event: OutboxEvent, reply: Reply) -> Answer:
    """What is kept in place of a receipt."""
    told = reply.headers.get("location", "")
    location = told if told.isascii() and told.isprintable() and len(told) <= _LONGEST_LOCATION else ""
    proof = {"eventID": epcis_id(event.event_id), "status": reply.status, "location": location}
    return Answer(status=HTTPStatus.OK, body=json.dumps(proof))


def _events(node: object) -> Iterator[Mapping[str, Any]]:
    """Every object in an answer, be it the bare event or a document around it."""
    left = [node]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _hash_of(one: Mapping[str, Any]) -> str | None:
    found = one.get(HASH, one.get(_HASH_EXPANDED))
    return found if isinstance(found, str) else None
