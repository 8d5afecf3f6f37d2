"""How fast passwords may be guessed: a delay that grows with each failure; quiet minutes forget. Nobody is locked out. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Failed tries under one key (an account, a source, a browser), as many as still counted when the newest was made at `last_at`.

    `before` is what was there before the newest, while that is known: a try that is taken back makes nothing look newer.
    """

    failures: int
    last_at: datetime
    before: "Tries | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many failures cost no time; each one after that doubles the wait, from one second up to `longest_s`."""

    free: int
    longest_s: float


ACCOUNT = Limit(free=5, longest_s=900.0)
"""For strangers who name one account."""
SOURCE = Limit(free=10, longest_s=900.0)
"""For strangers who come from one address."""
STRANGERS = Limit(free=32, longest_s=300.0)
"""For all strangers together: guesses for many names from many addresses must not keep the processor busy."""
BROWSER = Limit(free=5, longest_s=900.0)
"""For a browser that has logged in to this account before: it is not made to wait for what strangers do."""
SESSION = Limit(free=3, longest_s=900.0)
"""For confirmations within one session."""

FORGOTTEN_AFTER = timedelta(hours=24)
FORGETS_ONE = timedelta(minutes=10)
"""Slips of many honest people, over weeks, add up to no wait; whoever guesses on and on is not quiet for so long."""
_MOST_DOUBLINGS = 20


def wait_s(tries: Tries | None, limit: Limit, now: datetime) -> float:
    """Seconds until the next try may be made; 0 when it may be made now. Never longer than the limit's longest, whatever the clock did."""
    failures = _left(tries, now)
    if tries is None or failures < limit.free:
        return 0.0
    whole_s = min(limit.longest_s, 2.0 ** min(failures - limit.free, _MOST_DOUBLINGS))
    return max(0.0, min(whole_s, whole_s - (now - tries.last_at).total_seconds()))


def after_failure(tries: Tries | None, now: datetime) -> Tries:
    """The same key with one failure more."""
    before = replace(tries, before=None) if tries is not None else None
    return Tries(failures=_left(tries, now) + 1, last_at=now, before=before)


def taken_back(tries: Tries | None) -> Tries | None:
    """The same key without its newest failure; what came before it still counts."""
    if tries is None or tries.before is not None:
        return None if tries is None else tries.before
    return None if tries.failures <= 1 else replace(tries, failures=tries.failures - 1)


def _left(tries: Tries | None, now: datetime) -> int:
    """How many failures still count."""
    if tries is None or now - tries.last_at >= FORGOTTEN_AFTER:
        return 0
    return max(0, tries.failures - max(0, (now - tries.last_at) // FORGETS_ONE))
