"""Signed questions to the reference receiver about what it has of a source."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from station.ports.tracking import Link, ReceiverUnreachableError
from station.tracking.answers import answer_of
from station.tracking.signatures import Signing, webhook_headers

_EFFECTS_AT_A_TIME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Asks about the events of `source`; each question is signed like one of them, at true time."""

    link: Link
    source: str
    signing: Signing
    utc_now: Callable[[], datetime]

    async def ask(self, path: str, about: str, **members: object) -> dict[str, Any]:
        """The members of the answer, an object. Raises `ReceiverUnreachableError`, also for every other answer."""
        body = json.dumps({"source": self.source, **members}).encode()
        headers = webhook_headers(about, body, self.utc_now(), self.signing)
        reply = await self.link.request("POST", path, body, {"content-type": "application/json", **headers})
        if reply.status != HTTPStatus.OK:
            # Of what somebody else wrote only the problem is told: this is shown at terminals.
            raise unusable(f"The receiver does not tell: it answered {reply.status} {answer_of(reply).problem or ''}".strip())
        try:
            found = json.loads(reply.text)
        except (ValueError, RecursionError) as error:
            raise unusable(f"The receiver's answer cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise unusable("The receiver's answer is no object")
        return found

    async def effects(self, *, after: int) -> list[dict[str, Any]]:
        """What took effect with a number above `after`, in order, so many at a time. Raises `ReceiverUnreachableError`."""
        found = await self.ask("/effects", "effects", asks="effects", after=after, limit=_EFFECTS_AT_A_TIME)
        return list(found["effects"])

    async def status(self) -> dict[str, int]:
        """The figures of what took effect. Raises `ReceiverUnreachableError`."""
        return await self.ask("/status", "status", asks="status")


def unusable(what: str) -> ReceiverUnreachableError:
    """The station's own words for an answer that proves nothing."""
    return ReceiverUnreachableError(
        what, consequence="What it has is not known", remedy="Check the receiver, its keys and its version, and who stands between"
    )
