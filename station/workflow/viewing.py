"""Who was given which picture: written down before the picture is given; and for how long it was looked at."""

import math
from datetime import datetime, timedelta

from station.domain.piece import Piece
from station.domain.rest import Spell, viewing_time, with_image
from station.domain.scan import Scan
from station.domain.vault import ImageLookedAt, ImageViewed, Rendering
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork
from station.workflow.durable import durable
from station.workflow.once import Answer, Once, do_once


class ViewLog:
    """Appends an `ImageViewed` for what is given out: once per person, scan, rendering and minute, a marked piece's picture each time.

    Who is given pictures is also known here for how long without a rest; a start of the station begins all anew.

    Args:
        store: takes the facts.
        clock: station time.
    """

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._minute: datetime | None = None
        self._written: set[tuple[str, str, int, str, Rendering]] = set()
        self._spells: dict[str, Spell] = {}

    async def note(self, piece: Piece, scan: Scan, rendering: Rendering, person: str) -> None:
        """Return when it is written down that this person is given this. Raises `StoreError`: then nothing may be given."""
        now = self._clock.utc_now()
        if rendering is not Rendering.FIGURES:
            self._spells[person] = with_image(self._spells.get(person), now)
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute = minute
            self._written.clear()
        view = (person, piece.piece_id, scan.visit, scan.sha256, rendering)
        if view in self._written and not (piece.is_marked and rendering is not Rendering.FIGURES):
            return
        fact = ImageViewed(piece_id=piece.piece_id, visit=scan.visit, at=now, person=person, scan_sha256=scan.sha256, rendering=rendering)
        await durable(self._store.write(lambda uow: uow.append(fact)))
        # Only now: a view that could not be written must be tried again.
        if minute == self._minute:
            self._written.add(view)

    async def looked(self, piece: Piece, scan: Scan, person: str, *, shown_ms: int, heat_ms: int, once: Once) -> Answer:
        """A person's page says for how long it showed them a picture, until now. No more is written down than since they were given it.

        Not `written`: they were not.
        """
        now = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            longest_ms = dict.fromkeys(Rendering, 0)
            for row in uow.evidence(piece.piece_id, scan.visit):
                view = row.evidence
                if isinstance(view, ImageViewed) and (view.person, view.scan_sha256) == (person, scan.sha256):
                    since_ms = math.ceil((now - view.at).total_seconds() * 1000.0)
                    longest_ms[view.rendering] = max(longest_ms[view.rendering], since_ms)
            shown = min(shown_ms, longest_ms[Rendering.STANDARD])
            if shown == 0:
                return {"written": False}
            heat = min(heat_ms, shown, longest_ms[Rendering.HEAT])
            fact = ImageLookedAt(
                piece_id=piece.piece_id, visit=scan.visit, at=now, person=person, scan_sha256=scan.sha256, shown_ms=shown, heat_ms=heat
            )
            uow.append(fact)
            return {"written": True}

        answer, _ = await durable(self._store.write(lambda uow: do_once(uow, once, work)))
        if answer["written"]:
            # It was before them until now.
            self._spells[person] = with_image(self._spells.get(person), now)
        return answer

    def viewing_time(self, person: str) -> timedelta:
        """For how long the person has had pictures before them without a rest."""
        return viewing_time(self._spells.get(person), self._clock.utc_now())
