"""How fast passwords may be guessed: a delay that grows with each failure and is forgotten after a day. Nobody is locked out. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Failed tries in a row under one key (an account, a source, a browser); `last_at` is when the newest was made."""

    failures: int
    last_at: datetime


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
_MOST_DOUBLINGS = 20


def wait_s(tries: Tries | None, limit: Limit, now: datetime) -> float:
    """Seconds until the next try may be made; 0 when it may be made now. Never longer than the limit's longest, whatever the clock did."""
    if tries is None or tries.failures < limit.free or now - tries.last_at >= FORGOTTEN_AFTER:
        return 0.0
    whole_s = min(limit.longest_s, 2.0 ** min(tries.failures - limit.free, _MOST_DOUBLINGS))
    return max(0.0, min(whole_s, whole_s - (now - tries.last_at).total_seconds()))


def after_failure(tries: Tries | None, now: datetime) -> Tries:
    """The same key with one failure more."""
    if tries is None or now - tries.last_at >= FORGOTTEN_AFTER:
        return Tries(failures=1, last_at=now)
    return Tries(failures=tries.failures + 1, last_at=now)


def taken_back(tries: Tries | None) -> Tries | None:
    """The same key without its newest failure; what came before it still counts."""
    if tries is None or tries.failures <= 1:
        return None
    return replace(tries, failures=tries.failures - 1)
