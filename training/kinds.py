"""Kinds of piece as tracking announces them: all that a station knows of a piece before it looks at the scan.

The generator draws document parcels and small parcels, and both are announced as `parcel`. So thresholds, the score's fit and every
figure go by the announced kind, in which the generator's sorts come as often as mail brings them; by sorts they would promise what no
station can keep. `unknown` is a piece that nobody announced: it may be of any sort.
"""

from collections.abc import Sequence

import numpy as np

from firmware_sims.mail import Generation
from firmware_sims.mail_catalogue import CLASSES
from station.screening.manifest import ANNOUNCED_KINDS, COMPOSED_OF, UNKNOWN_KIND

MAIL_KINDS = tuple(kind for kind in ANNOUNCED_KINDS if kind != UNKNOWN_KIND)
_ANNOUNCED_AS = {sort: kind for kind, sorts in COMPOSED_OF.items() for sort in sorts}


def announced(sort: str) -> str:
    """What a sort of the generator is announced as; a bag, which is no mail, stays what it is."""
    return _ANNOUNCED_AS.get(sort, sort)


def sorts_of(drawn: Generation, kind: str, threat: str | None = None) -> list[str]:
    """The sorts that are announced as `kind`, or all for `unknown`; with a `threat` those alone that carry it."""
    return [
        sort
        for sort in drawn.kind_shares
        if kind in {announced(sort), UNKNOWN_KIND} and (threat is None or threat in drawn.threat_shares[sort])
    ]


def kind_shares(drawn: Generation) -> dict[str, float]:
    """How often mail brings each kind."""
    whole = sum(drawn.kind_shares.values())
    return {kind: sum(drawn.kind_shares[sort] for sort in sorts_of(drawn, kind)) / whole for kind in MAIL_KINDS}


def threats_of(drawn: Generation, kind: str) -> Sequence[str]:
    """Forbidden things that some sort of a kind carries."""
    return [name for name in CLASSES if sorts_of(drawn, kind, name)]


def drawn_sort(rng: np.random.Generator, drawn: Generation, kind: str, threat: str | None = None) -> str:
    """A sort of `kind`, drawn as mail brings them; with a `threat` among those that carry it.

    Raises:
        ValueError: no sort of that kind carries it, or there is no such kind.
    """
    sorts = sorts_of(drawn, kind, threat)
    if not sorts:
        msg = f"no piece that is announced as {kind!r} is drawn with {threat or 'nothing forbidden'}"
        raise ValueError(msg)
    shares = np.asarray([drawn.kind_shares[sort] for sort in sorts])
    return sorts[int(rng.choice(len(sorts), p=shares / shares.sum()))]
