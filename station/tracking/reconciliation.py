"""Asking the receiver what it has of a day: its signed statement, and its events one by one."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.ports.outbox import EventDigest
from station.ports.tracking import DayStatement, Link, ReceiverUnreachableError
from station.tracking.answers import answer_of
from station.tracking.signatures import Signing, signed, signed_by, webhook_headers
from station.tracking.trust import TrustedKey

KIND = "kt1:reconciliation:v1"
"""Stands in what is signed, so that a statement can never be taken for a receipt, nor a receipt for a statement."""
PAGE = 5000
_MOST_PAGES = 1000
_LONGEST_TEXT = 200


def source_of(site: str) -> str:
    """The source of a site's events."""
    return f"urn:kt1:site:{quote(site)}"


def sign_statement(
    key: Ed25519PrivateKey, *, source: str, day: date, events: int, root: str, receiver: str, at: datetime
) -> dict[str, str | int]:
    """What a receiver says of a site's day. The signature is Ed25519 over the RFC 8785 form of the other members."""
    members: dict[str, str | int] = {
        "kind": KIND,
        "source": source,
        "day": day.isoformat(),
        "events": events,
        "root": root,
        "receiver": receiver,
        "at": at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return signed(members, key)


class HttpCounterpart:
    """`station.ports.tracking.Counterpart` for the reference receiver's `POST /reconciliation`.

    Args:
        link: to the receiver.
        source: whose events.
        signing: what the site's events are signed with.
        trusted: the keys that may sign the receiver's statements.
        utc_now: true time.
    """

    def __init__(
        self, link: Link, *, source: str, signing: Signing, trusted: tuple[TrustedKey, ...], utc_now: Callable[[], datetime]
    ) -> None:
        self._link = link
        self._source = source
        self._signing = signing
        self._trusted = trusted
        self._utc_now = utc_now

    async def statement(self, day: date) -> DayStatement:
        """What the receiver says of a day. Raises `ReceiverUnreachableError`, also when that is not proved to be its word."""
        members = await self._ask("/reconciliation", day)
        try:
            said = DayStatement(events=int(str(members["events"])), root=str(members["root"]))
            about = (members["kind"], members["source"], members["day"]) == (KIND, self._source, day.isoformat())
            proved = about and any(key.speaks_for(str(members["receiver"])) and signed_by(members, key.public) for key in self._trusted)
        except (ValueError, KeyError, TypeError) as error:
            raise _unusable(f"The receiver's statement about {day} cannot be read: {error!r}") from error
        if not proved:
            raise _unusable(f"The receiver's statement about {day} is not signed by its key, or about something else")
        return said

    async def events(self, day: date, *, said: int) -> list[EventDigest]:
        """All that the receiver has of a day, as far as its signed word goes. Raises `ReceiverUnreachableError`."""
        found: list[EventDigest] = []
        after: object = 0
        for _ in range(_MOST_PAGES):
            members = await self._ask("/reconciliation/events", day, after=after)
            try:
                found += [_digest(*one) for one in members["events"]]
                after = members["next"]
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise _unusable(f"The receiver's list of {day} cannot be read: {error}") from error
            # Only the count was signed: whoever stands between could go on without end.
            if after is None or len(found) > said:
                return found
        raise _unusable(f"The receiver's list of {day} does not end")

    async def close(self) -> None:
        """Drop the connections."""
        await self._link.close()

    async def _ask(self, path: str, day: date, **more: object) -> dict[str, Any]:
        body = json.dumps({"source": self._source, "day": day.isoformat(), **more}).encode()
        headers = webhook_headers(f"reconciliation:{day}", body, self._utc_now(), self._signing)
        reply = await self._link.request("POST", path, body, {"content-type": "application/json", **headers})
        if reply.status != HTTPStatus.OK:
            raise _unusable(f"The receiver does not reconcile: it answered {reply.status} {answer_of(reply).problem or ''}".strip())
        try:
            members = json.loads(reply.text)
        except (ValueError, RecursionError) as error:
            raise _unusable(f"The receiver's answer cannot be read: {error}") from error
        if not isinstance(members, dict):
            raise _unusable("The receiver's answer is no object")
        return members


def _digest(piece: object, sequence: object, event_id: object, digest: object) -> EventDigest:
    """An event as it is listed. Raises `ValueError` for texts that no event has: they are kept, and shown at terminals."""
    for text in (piece, event_id, digest):
        if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST_TEXT:
            raise ValueError("an event's piece, id or hash is no short, printable text")
    return EventDigest(piece_id=str(piece), sequence=int(str(sequence)), event_id=str(event_id), body_sha256=str(digest))


def _unusable(what: str) -> ReceiverUnreachableError:
    return ReceiverUnreachableError(what, consequence="The day was not compared", remedy="Check the receiver, its keys and its version")
