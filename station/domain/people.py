"""How many people a clearance takes, who counts as another person, and which holds only people can lift."""

import unicodedata
from collections.abc import Iterable

from station.domain.errors import RefusedError
from station.domain.piece import Secrecy
from station.domain.reasons import NAMED_BY_MODEL, Reason
from station.domain.review import ReviewOutcome

JUDGED_BY_PEOPLE = NAMED_BY_MODEL | {Reason.OPAQUE_AREA, Reason.RADIATION, Reason.MODEL_ALARM, Reason.ATTENTION_SCORE}
"""Findings that people who reviewed the cleared scan have judged; they do not hold the re-fed piece again if its image matches."""

NEEDS_REVIEW = JUDGED_BY_PEOPLE | {
    Reason.NEW_FINDING,
    Reason.IMAGE_MISMATCH,
    Reason.IMAGE_NOT_COMPARED,
    Reason.OPERATOR_HOLDS,
    Reason.REVIEW_HOLDS,
    Reason.REVIEW_REJECTS,
    Reason.SECOND_OPINION,
    Reason.FROZEN,
    Reason.RETRIES_USED_UP,
    Reason.RECORD_RESTORED,
}
"""Holds that stay over later visits until a review lifts them: feeding a piece in again and again must not clear it."""

SAID_AGAINST = {
    ReviewOutcome.REJECT: Reason.REVIEW_REJECTS,
    ReviewOutcome.HOLD: Reason.REVIEW_HOLDS,
    ReviewOutcome.SECOND_OPINION: Reason.SECOND_OPINION,
}
"""What a review leaves against a piece that it did not clear."""

ONE_PERSON_REASONS = NAMED_BY_MODEL | frozenset(
    {
        Reason.NO_MODEL_READING,
        Reason.MODEL_FAILED,
        Reason.MODEL_STALE,
        Reason.MODEL_NOT_PROVED,
        Reason.MODEL_ALARM,
        Reason.ATTENTION_SCORE,
        Reason.PROJECTED_IMAGE,
        Reason.AWAITING_OPERATOR,
        Reason.OPERATOR_HOLDS,
        Reason.DECISION_TIMEOUT,
        Reason.REVIEW_HOLDS,
        Reason.RECORD_RESTORED,
    }
)
"""Reasons that come from the model, from people, or from no finding at all.

Every other one takes two: a device's finding, or that a second person is missing.
"""


def people_needed(secrecy: Secrecy | None, reasons: Iterable[str]) -> int:
    """How many different people must clear a held piece: two for a marked one and over a device's finding, else one."""
    return 2 if secrecy is not None or not all(reason in ONE_PERSON_REASONS for reason in reasons) else 1


def person_key(name: str) -> str:
    """What two spellings of one person's name share: letter case, spacing and Unicode form do not tell people apart."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def distinct_people(names: Iterable[str]) -> tuple[str, ...]:
    """The different people among `names`, in order of appearance; a blank name is nobody."""
    seen: dict[str, str] = {}
    for name in names:
        key = person_key(name)
        if key:
            seen.setdefault(key, name)
    return tuple(seen.values())


MOST_OF_NAME, MOST_OF_NOTE = 80, 1000


def responsible(person: str, note: str) -> tuple[str, str]:
    """Who takes a responsibility, and why, as they are recorded and shown: one line each, white space folded.

    Raises:
        RefusedError: no name, one that is too long, or signs that a terminal would obey instead of showing them.
    """
    name, why = (" ".join(text.split()) for text in (person, note))
    for what, text, most in (("name", name, MOST_OF_NAME), ("note", why, MOST_OF_NOTE)):
        if len(text) > most or not text.isprintable():
            raise RefusedError(
                f"The {what} is longer than {most} characters or holds some that cannot be shown",
                consequence="Nothing was changed",
                remedy=f"Give the {what} as plain text",
            )
    if not name:
        raise RefusedError("Nobody took the responsibility", consequence="Nothing was changed", remedy="Name the supervisor")
    return name, why
