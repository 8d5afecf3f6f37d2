"""Who asks, and which request it is: read from the headers of every write."""

import hashlib
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, Request

from station.api.problems import KeyMissingError, PersonMalformedError
from station.workflow.once import Once

_MAX_PERSON = 64
_MAX_KEY = 255


def _person(
    x_person: Annotated[
        str,
        Header(
            description="Name of the person who acts, percent-encoded UTF-8. To be replaced by log-in; until then the station listens "
            "on loopback only."
        ),
    ] = "operator",
) -> str:
    try:
        name = " ".join(unquote(x_person, errors="strict").split())
    except UnicodeDecodeError:
        name = ""
    if not 0 < len(name) <= _MAX_PERSON or not name.isprintable():
        raise PersonMalformedError(
            "X-Person is empty, too long, or not readable",
            consequence="Nothing was done",
            remedy=f"Send a name of at most {_MAX_PERSON} characters as percent-encoded UTF-8",
        )
    return name


Person = Annotated[str, Depends(_person)]
"""The person who acts."""


async def _once(
    request: Request,
    person: Person,
    idempotency_key: Annotated[
        str | None, Header(max_length=_MAX_KEY, description="Any text that is new for each new request; the same key gets the same answer.")
    ] = None,
) -> Once:
    if not idempotency_key or not idempotency_key.isprintable():
        raise KeyMissingError(
            "A write needs the header Idempotency-Key",
            consequence="Nothing was done",
            remedy="Send a new key with each new request, and the same key when repeating one",
        )
    asked = hashlib.sha256()
    for part in (request.method.encode(), request.url.path.encode(), person.encode(), await request.body()):
        asked.update(len(part).to_bytes(8, "big") + part)
    return Once(key=idempotency_key, fingerprint=asked.hexdigest())


OnceKey = Annotated[Once, Depends(_once)]
"""The identity of a write."""
