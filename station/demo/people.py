"""The demo's scripted people: hands at the lane (through the simulators) and decisions (through the public interface).

They know the truth and decide by it, so that both ends of review are walked: benign pieces are cleared and fed in again, pieces with
a threat are rejected. Marked pieces stay held, attention stops are answered with hold, and a stopped lane is started again.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import structlog

from station.demo.client import Refused, StationClient
from station.demo.processes import SimulatorControl

OPERATOR, REVIEWERS = "demo-operator", ("demo-reviewer-1", "demo-reviewer-2")
MOST_REFEEDS = 6
ROUND_S = 0.4
"""Wall time between two rounds of one lane's people."""

CLEARED_TYPE = "vn.kt1.piece.cleared.v1"
IN_BIN_STATES = frozenset({"announced", "held", "cleared"})

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class LanePeople:
    """The people of one lane. `truth` is benign or threat by piece id; with `decide` False only hands act."""

    lane_id: str
    client: StationClient
    control: SimulatorControl
    truth: dict[str, str]
    marked: frozenset[str]
    decide: bool
    refeeds: Counter[str] = field(default_factory=Counter)
    reviews: Counter[str] = field(default_factory=Counter)
    waiting: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)

    def settled(self, piece_id: str) -> bool:
        """True when nothing more will happen to the piece by itself."""
        state = self.states.get(piece_id)
        if state in {"released", "rejected", "returned", "handed_over", "escaped", "cancelled", "frozen"}:
            return True
        return state == "held" and (piece_id in self.marked or self.refeeds[piece_id] >= MOST_REFEEDS)

    async def round(self) -> None:
        """Look once and do what is to be done."""
        for piece_id in self.truth:
            if not self.settled(piece_id):
                self.states[piece_id] = (await self.client.get(f"/api/v1/pieces/{piece_id}"))["state"]
        await self._mind_the_lane()
        bins = await self.control.do("bins")
        in_bins = [*bins["hold"], *bins["return"]]
        for piece_id in in_bins:
            state = self.states.get(piece_id)
            if state in IN_BIN_STATES and not self.settled(piece_id) and piece_id in self.truth:
                await self._mind_a_piece(piece_id, state)

    async def _mind_the_lane(self) -> None:
        lane = await self.client.get(f"/api/v1/lanes/{self.lane_id}")
        request = lane["request"]
        if request is not None and request["attention"] and self.decide:
            body = {name: request[name] for name in ("piece_id", "visit", "scan_sha256")}
            await self._try(f"/api/v1/lanes/{self.lane_id}/decision", {**body, "decision": "hold"}, OPERATOR)
        alarms = await self.client.get("/api/v1/alarms")
        at_gate = any(
            alarm["code"] == "piece-at-gate" and alarm["subject"] == self.lane_id and alarm["cleared_at"] is None
            for alarm in alarms["items"]
        )
        if at_gate:
            await self.control.do("lift_from_gate")
        if lane["state"] in {"stopped", "offline"}:
            await self._try(f"/api/v1/lanes/{self.lane_id}/commands", {"command": "clear-access"}, OPERATOR)
            await self._try(f"/api/v1/lanes/{self.lane_id}/commands", {"command": "start"}, OPERATOR)

    async def _mind_a_piece(self, piece_id: str, state: str) -> None:
        if state == "held":
            if not self.decide:
                return
            piece = await self.client.get(f"/api/v1/pieces/{piece_id}")
            if piece["scan"] is not None and not await self._review(piece):
                return
        if self.refeeds[piece_id] < MOST_REFEEDS and self.states[piece_id] != "rejected":
            self.refeeds[piece_id] += 1
            await self.control.do("refeed", piece_id=piece_id)

    async def _review(self, piece: dict[str, Any]) -> bool:
        """Decide by the truth; True when the piece may be fed in again."""
        piece_id = piece["piece_id"]
        outcome = "clear" if self.truth[piece_id] == "benign" else "reject"
        people = REVIEWERS[: piece["people_needed"]] if outcome == "clear" else REVIEWERS[:1]
        for person in people:
            claimed = await self._try(f"/api/v1/reviews/{piece_id}/claim", None, person)
            body = {"outcome": outcome, "scan_sha256": piece["scan"]["sha256"], "note": "demo"}
            decided = claimed and await self._try(f"/api/v1/reviews/{piece_id}/decision", body, person)
            if not decided:
                return False
            self.reviews[piece_id] += 1
        self.states[piece_id] = "cleared" if outcome == "clear" else "rejected"
        return outcome == "clear"

    async def _try(self, path: str, body: dict[str, Any] | None, person: str) -> bool:
        try:
            await self.client.post(path, body, person=person)
        except Refused as refused:
            log.info("refused", path=path, why=str(refused))
            return False
        return True

    async def work(self) -> None:
        """Round after round, until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(ROUND_S)


async def observe_clearances(receiver: StationClient, controls: dict[str, SimulatorControl], lane_of: dict[str, str]) -> None:
    """Tell the simulated world which clearances the outside observer saw at the tracking receiver. Until cancelled."""
    after = 0
    while True:
        effects = (await receiver.get("/effects", after=after))["effects"]
        for effect in effects:
            after = effect["number"]
            if effect["type"] == CLEARED_TYPE and effect["subject"] in lane_of:
                control = controls[lane_of[effect["subject"]]]
                await control.do("cleared", piece_id=effect["subject"], visit=effect["event"]["visit"])
        await asyncio.sleep(ROUND_S if not effects else 0.0)
