"""How fast the relay may go: several pieces at a time, or one event now and then until the receiver shows that it works. Pure."""

import random
from dataclasses import dataclass, replace

from station.tracking.verdict import LONGEST_DELAY_S, delay_s

IN_DOUBT_FROM = 8
"""So many different pieces failing, and nothing working between, speak of the receiver and not of their events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the newest attempts said of the receiver itself. Times are those of the monotonic clock.

    `failing` are pieces that failed since something worked last, `probes` counts the attempts that failed since the receiver is in doubt.
    `gone`: it said that it is (410), and has given no receipt since.
    """

    failing: frozenset[str] = frozenset()
    probes: int = 0
    not_before_s: float = 0.0
    gone: bool = False

    @property
    def in_doubt(self) -> bool:
        """True when one attempt at a time is enough to see whether the receiver works again."""
        return self.gone or len(self.failing) >= IN_DOUBT_FROM

    def room(self, now_s: float, *, most: int, active: int) -> int:
        """How many attempts may begin now."""
        if now_s < self.not_before_s:
            return 0
        return max(0, (1 if self.in_doubt else most) - active)

    def failed(self, piece_id: str, now_s: float, chance: random.Random, *, retry_after_s: float = 0.0) -> "Pace":
        """An attempt ended without an answer that helps.

        `retry_after_s` is what the receiver asked for; it counts for every event as soon as a second piece has failed, too.
        """
        failing = self.failing if len(self.failing) >= IN_DOUBT_FROM else self.failing | {piece_id}
        doubted = replace(self, failing=failing)
        wait_s = delay_s(self.probes, chance) if doubted.in_doubt else 0.0
        # What one piece alone is told may be for its own sake, and then nobody else need wait.
        asked_s = min(retry_after_s, LONGEST_DELAY_S) if len(failing) > 1 else 0.0
        wait_s = max(wait_s, asked_s, LONGEST_DELAY_S if self.gone else 0.0)
        probes = self.probes + 1 if doubted.in_doubt else 0
        return replace(doubted, probes=probes, not_before_s=max(self.not_before_s, now_s + wait_s))

    def answered(self, now_s: float) -> "Pace":
        """The receiver said something sensible about an event, which was no receipt: it works, unless it said that it is gone."""
        calm = replace(self, failing=frozenset(), probes=0)
        return calm.told_gone(now_s) if self.gone else calm

    def told_gone(self, now_s: float) -> "Pace":
        """The receiver says that it is gone: ask it again with one event every five minutes."""
        return replace(self, gone=True, not_before_s=now_s + LONGEST_DELAY_S)
