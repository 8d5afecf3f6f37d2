"""Refused log-ins for the audit log: the first at once, what follows as sums, so that a flood of guesses is no flood of records. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

TOGETHER = timedelta(seconds=60)
_SOURCES_KEPT = 100
MANY = "many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """So many refusals about one user (None: a name that nobody has), from one address or from `many`."""

    user_id: str | None
    count: int
    source: str


@dataclass(slots=True)
class RefusedLogIns:
    """Gathers refusals. Not safe for several threads."""

    _told_at: datetime | None = None
    _counts: Counter[str | None] = field(default_factory=Counter)
    _sources: dict[str | None, set[str]] = field(default_factory=dict)

    def note(self, user_id: str | None, source: str, now: datetime) -> list[Refused]:
        """Take one refusal; what is to be recorded now, if anything is."""
        self._counts[user_id] += 1
        seen = self._sources.setdefault(user_id, set())
        if len(seen) < _SOURCES_KEPT:
            seen.add(source)
        return self.due(now)

    def due(self, now: datetime) -> list[Refused]:
        """What is to be recorded by now."""
        if self._told_at is not None and timedelta(0) <= now - self._told_at < TOGETHER:
            return []
        return self.take(now)

    def take(self, now: datetime) -> list[Refused]:
        """All that was gathered."""
        if not self._counts:
            return []
        found = [Refused(user_id=user_id, count=count, source=self._source_of(user_id)) for user_id, count in self._counts.items()]
        self._counts.clear()
        self._sources.clear()
        self._told_at = now
        return found

    def _source_of(self, user_id: str | None) -> str:
        sources = self._sources[user_id]
        return next(iter(sources)) if len(sources) == 1 else MANY
