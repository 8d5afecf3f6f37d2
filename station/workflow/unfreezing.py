"""What people do about a frozen lane: one method for each use case, one transaction for each change."""

import json
from collections.abc import Callable, Sequence

from station.domain.access import Caller
from station.domain.freeze import Checklist, Freeze
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork
from station.workflow.durable import durable
from station.workflow.feed import EventFeed
from station.workflow.freeze_steps import all_clear_stands, do_step, give_all_clear
from station.workflow.once import Answer, Once, do_once


class Unfreezing:
    """The checklist and the all clears. Every method may be called from any event loop.

    The lane itself reads from the store when both all clears are there, and asks its PLC to clear the latch.

    Args:
        store: system of record.
        clock: the station's time.
        checklist: the site's.
        feed: told that the freeze of a lane changed in a way that everybody may see.
    """

    def __init__(self, *, store: Store, clock: Clock, checklist: Checklist, feed: EventFeed) -> None:
        self._store = store
        self._clock = clock
        self.checklist = checklist
        self._feed = feed

    async def step_done(self, lane_id: str, *, number: int, step: str, by: Caller, once: Once) -> Answer:
        """A step of the checklist is done; see `freeze_steps.do_step` for what is refused."""

        def work(uow: UnitOfWork) -> Answer:
            do_step(uow, lane_id, number, step, by, self.checklist, self._clock.utc_now())
            return {"lane_id": lane_id, "number": number, "step": step}

        answer, done = await self._change(once, work)
        if done:
            self._tell(lane_id)
        return answer

    async def all_clear(self, lane_id: str, *, number: int, present: Sequence[str], note: str, by: Caller, once: Once) -> Answer:
        """Somebody gives the all clear; see `freeze_steps.give_all_clear` for what is refused.

        `all_clear` in the answer: two people have, and the latch will be cleared when the key switch at the lane is turned.
        """

        def work(uow: UnitOfWork) -> Answer:
            # The clock is read here: a confirmation may grow old while the disk is waited for.
            now = self._clock.utc_now()
            freeze: Freeze = give_all_clear(uow, lane_id, number, by, self.checklist, now, present=present, note=note)
            return {"lane_id": lane_id, "number": number, "all_clear": all_clear_stands(uow, freeze, self.checklist)}

        answer, done = await self._change(once, work)
        if done and answer["all_clear"]:
            # Of the first one nothing is told: news of it would tell the second person what the first decided.
            self._tell(lane_id)
        return answer

    async def _change(self, once: Once, work: Callable[[UnitOfWork], Answer]) -> tuple[Answer, bool]:
        return await durable(self._store.write(lambda uow: do_once(uow, once, work)))

    def _tell(self, lane_id: str) -> None:
        self._feed.publish("freeze", json.dumps({"lane_id": lane_id}))
