"""For how long somebody has looked at images without a rest. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

REST = timedelta(minutes=10)
"""Without an image for so long, somebody has rested (Regulation (EU) 2015/1998, annex, 5.1.7, as are the 20 minutes before it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Somebody had images before them from `began_at` to `last_at`, never without one for as long as a rest takes."""

    began_at: datetime
    last_at: datetime


def with_image(spell: Spell | None, at: datetime) -> Spell:
    """The spell with one more image at that moment; another one begins after a rest, and by a clock that went back."""
    if spell is None or not timedelta(0) <= at - spell.last_at < REST:
        return Spell(began_at=at, last_at=at)
    return Spell(began_at=spell.began_at, last_at=at)


def viewing_time(spell: Spell | None, now: datetime) -> timedelta:
    """How long the spell has lasted as far as is known, up to its last image; nothing after a rest."""
    if spell is None or now - spell.last_at >= REST:
        return timedelta(0)
    return spell.last_at - spell.began_at
