"""Asking the receiver what it has of a day: its signed statement, and its events one by one."""

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.ports.outbox import EventDigest
from station.ports.tracking import DayStatement
from station.tracking.questions import Questions, unusable
from station.tracking.signatures import signed, signed_by
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
        questions: to the receiver, about the site's events.
        trusted: the keys that may sign the receiver's statements.
    """

    def __init__(self, questions: Questions, trusted: tuple[TrustedKey, ...]) -> None:
        self._questions = questions
        self._trusted = trusted

    async def statement(self, day: date) -> DayStatement:
        """What the receiver says of a day. Raises `ReceiverUnreachableError`, also when that is not proved to be its word."""
        members = await self._ask("/reconciliation", day)
        try:
            said = DayStatement(events=int(str(members["events"])), root=str(members["root"]))
            about = (members["kind"], members["source"], members["day"]) == (KIND, self._questions.source, day.isoformat())
            proved = about and any(key.speaks_for(str(members["receiver"])) and signed_by(members, key.public) for key in self._trusted)
        except (ValueError, KeyError, TypeError) as error:
            raise unusable(f"The receiver's statement about {day} cannot be read: {error!r}") from error
        if not proved:
            raise unusable(f"The receiver's statement about {day} is not signed by its key, or about something else")
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
                raise unusable(f"The receiver's list of {day} cannot be read: {error}") from error
            # Only the count was signed: whoever stands between could go on without end.
            if after is None or len(found) > said:
                return found
        raise unusable(f"The receiver's list of {day} does not end")

    async def close(self) -> None:
        """Drop the connections."""
        await self._questions.link.close()

    async def _ask(self, path: str, day: date, **more: object) -> dict[str, Any]:
        return await self._questions.ask(path, f"reconciliation:{day}", day=day.isoformat(), **more)


def _digest(piece: object, sequence: object, event_id: object, digest: object) -> EventDigest:
    """An event as it is listed. Raises `ValueError` for texts that no event has: they are kept, and shown at terminals."""
    for text in (piece, event_id, digest):
        if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST_TEXT:
            raise ValueError("an event's piece, id or hash is no short, printable text")
    return EventDigest(piece_id=str(piece), sequence=int(str(sequence)), event_id=str(event_id), body_sha256=str(digest))
