"""The demo's scripted people: hands at the lane (through the simulators) and decisions (through the public interface).

They know the truth and decide by it, so that both ends of review are walked: benign pieces are cleared and fed in again, pieces with
a threat are rejected. Attention stops are answered with hold, other questions by the truth (level A by two people), and a stopped
lane is started again. A frozen one gets its checklist and the all clear of two reviewers, and hands turn the key at the lane. With
somebody at the console (`decide` False) only the hands act: they lay mail on the belt, feed in again what was cleared, lift out what
waits at the gate, and turn the key when the lane asks for it.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog

from station.demo.accounts import OPERATOR, REVIEWERS, TRACKING
from station.demo.client import Refused, StationClient
from station.demo.processes import DemoError, SimulatorControl
from station.domain.piece import PieceState
from station.ports.tracking import ReceiverUnreachableError
from station.tracking.questions import Questions

MOST_REFEEDS = 6
MAIL_BATCH = 12
"""Pieces that a console user's hands fetch when nothing is left to lay on."""

ROUND_S = 0.4
"""Wall time between two rounds of one lane's people."""

LAST_MOMENT_S = 8.0
"""Station time before an unanswered attention stop freezes the lane; then the demo's operator holds, whoever sits at the console."""

CLEARED_TYPE = "vn.kt1.piece.cleared.v1"
IN_BIN_STATES = frozenset({"announced", "held", "cleared"})
ENDED = frozenset({"released", "rejected", "returned", "handed_over", "escaped", "cancelled"})
STATES_UNDER_WAY = tuple(state.value for state in PieceState if state.value not in ENDED)
PAGE = 500
"""Pieces of one answer: as many as there may be."""

WORKING = frozenset({"running", "waiting"})
AT_REST = frozenset({"stopped", "offline"})

log = structlog.get_logger()


class UnderWay:
    """The states of all pieces that have not ended, read at most once a round however many lanes' people look.

    So many single questions, each answered with all of a piece's evidence, would cost the lanes their time.
    """

    def __init__(self, client: StationClient) -> None:
        self._client = client
        self._states: dict[str, str] = {}
        self._read_s = -math.inf
        self._reading = asyncio.Lock()

    async def states(self) -> dict[str, str]:
        """By piece id, as they were a round ago or later."""
        async with self._reading:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._read_s >= ROUND_S:
                self._states = await self._read()
                self._read_s = now_s
            return self._states

    async def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        onwards: dict[str, str] = {}
        while True:
            page = await self._client.get("/api/v1/pieces", state=STATES_UNDER_WAY, limit=PAGE, **onwards)
            found.update({piece["piece_id"]: piece["state"] for piece in page["items"]})
            if page["next"] is None:
                return found
            onwards = {"after": page["next"]}


@dataclass(slots=True, kw_only=True)
class LanePeople:
    """The people of one lane. `truth` is benign or threat by piece id; with `decide` False only hands act."""

    lane_id: str
    client: StationClient
    under_way: UnderWay
    control: SimulatorControl
    decide: bool
    note: Callable[[str], None]
    truth: dict[str, str] = field(default_factory=dict)
    secrecy: dict[str, str | None] = field(default_factory=dict)
    refeeds: Counter[str] = field(default_factory=Counter)
    states: dict[str, str] = field(default_factory=dict)
    test_piece_id: str | None = None
    lane_state: str = ""
    reached_in: bool = False
    key_on: bool = False
    cleared_freezes: set[tuple[int, str | None, str]] = field(default_factory=set)

    async def take_in(self, count: int) -> None:
        """Draw mail, announce it as the tracking system would, and lay it before the lane, at first behind a test piece."""
        covers = (await self.control.do("mail", count=count))["pieces"]
        for cover in covers:
            await self.client.post("/api/v1/pieces", cover, person=TRACKING)
        if covers:
            truths = (await self.control.do("truth", piece_ids=[cover["piece_id"] for cover in covers]))["pieces"]
            self.secrecy.update({cover["piece_id"]: cover["secrecy"] for cover in covers})
            self.truth.update({truth["piece_id"]: truth["truth"] for truth in truths})
        if self.test_piece_id is None:
            self.test_piece_id = (await self.control.do("test_piece"))["piece"]["piece_id"]
        await self.control.do("feed_all")

    async def stop_lane(self) -> None:
        """Press STOP, as somebody who goes home does."""
        await self._try(f"/api/v1/lanes/{self.lane_id}/commands", {"command": "stop"}, OPERATOR)

    def settled(self, piece_id: str) -> bool:
        """True when nothing more will happen to the piece by itself."""
        state = self.states.get(piece_id)
        return state in ENDED or (state == "held" and self.refeeds[piece_id] >= MOST_REFEEDS)

    async def round(self) -> None:
        """Look once and do what is to be done."""
        await self.look_at_pieces()
        lane = await self.client.get(f"/api/v1/lanes/{self.lane_id}")
        await self._mind_the_lane(lane)
        bins = await self.control.do("bins")
        in_bins = [*bins["hold"], *bins["return"]]
        if lane["test_piece_passed_at"] is None:
            # Everything is held until it has passed: nobody feeds anything in again before.
            if lane["state"] in WORKING and self.test_piece_id in in_bins:
                await self.control.do("refeed", piece_id=self.test_piece_id)
            return
        for piece_id in in_bins:
            state = self.states.get(piece_id)
            if state in IN_BIN_STATES and not self.settled(piece_id) and piece_id in self.truth:
                await self._mind_a_piece(piece_id, state)

    async def look_at_pieces(self) -> None:
        """Learn every piece's state; about one that has ended it takes a question of its own, once."""
        under_way = await self.under_way.states()
        for piece_id in self.truth:
            if piece_id in under_way:
                self.states[piece_id] = under_way[piece_id]
            elif self.states.get(piece_id) not in ENDED:
                self.states[piece_id] = (await self.client.get(f"/api/v1/pieces/{piece_id}"))["state"]

    async def _mind_the_lane(self, lane: dict[str, Any]) -> None:
        if lane["state"] != self.lane_state:
            self.lane_state = lane["state"]
            why = next((f": {device['detail']}" for device in lane["devices"] if not device["ok"]), "")
            hint = " -> Chạy / START" if self.lane_state in AT_REST and not self.decide else ""
            self.note(f"{self.lane_id}: {self.lane_state}{why}{hint}")
        if lane["request"] is not None:
            await self._answer(lane["request"])
        if lane["frozen"] or self.key_on:
            await self._mind_a_freeze()
        alarms = await self.client.get("/api/v1/alarms")
        at_gate = any(
            alarm["code"] == "piece-at-gate" and alarm["subject"] == self.lane_id and alarm["cleared_at"] is None
            for alarm in alarms["items"]
        )
        if lane["state"] in WORKING:
            self.reached_in = False
        if at_gate and (await self.control.do("lift_from_gate"))["piece_id"] is not None:
            self.reached_in = True
        if lane["state"] in AT_REST and (self.decide or self.reached_in):
            # Hands that reached in themselves know that the zone is clear again.
            await self._try(f"/api/v1/lanes/{self.lane_id}/commands", {"command": "clear-access"}, OPERATOR)
            await self._try(f"/api/v1/lanes/{self.lane_id}/commands", {"command": "start"}, OPERATOR)

    async def _mind_a_freeze(self) -> None:
        """Whoever decides does the checklist and gives the all clear; hands turn the key when only that lacks, and take it out again."""
        path = f"/api/v1/lanes/{self.lane_id}"
        freeze = await self.client.get(f"{path}/freeze")
        number, wanted = freeze["number"], bool({"key", "latch"} & set(freeze["lacks"]))
        if self.decide and number is not None:
            for step in freeze["steps"]:
                if step["needed"] and step["done_at"] is None:
                    await self._try(f"{path}/freeze/steps", {"number": number, "step": step["id"]}, OPERATOR)
            for person in REVIEWERS:
                body = {"number": number, "present": [OPERATOR, *REVIEWERS], "note": "demo"}
                said = (number, freeze["latch_set_again_at"], person)
                if said not in self.cleared_freezes and await self._try(f"{path}/unfreeze", body, person):
                    self.cleared_freezes.add(said)
        if wanted != self.key_on:
            await self.control.do("key_switch", on=wanted)
            self.key_on = wanted
            self.note(f"{self.lane_id}: {'khóa điện đã bật / key switch on' if wanted else 'khóa điện đã tắt / key switch off'}")

    async def _answer(self, request: dict[str, Any]) -> None:
        """Hold what stopped the lane; read what else is asked about by the truth."""
        attention, piece_id = request["attention"], request["piece_id"]
        last_moment = attention and request["seconds_left"] < LAST_MOMENT_S
        if not (self.decide or last_moment):
            return
        decision = "clear" if not attention and self.truth.get(piece_id) == "benign" else "hold"
        body = {name: request[name] for name in ("piece_id", "visit", "scan_sha256")}
        for person in (OPERATOR, REVIEWERS[0]):
            answer = await self._try(f"/api/v1/lanes/{self.lane_id}/decision", {**body, "decision": decision}, person)
            if answer is not None and not answer["awaiting_second_person"]:
                break
        if not self.decide:
            self.note(f"{self.lane_id}: nobody answered the attention stop about {piece_id}; the demo's operator holds it")

    async def _mind_a_piece(self, piece_id: str, state: str) -> None:
        if state == "held":
            piece = await self.client.get(f"/api/v1/pieces/{piece_id}")
            if piece["scan"] is not None and not (self.decide and await self.review(piece)):
                return
        if self.refeeds[piece_id] < MOST_REFEEDS and self.states[piece_id] != "rejected":
            self.refeeds[piece_id] += 1
            await self.control.do("refeed", piece_id=piece_id)

    async def review(self, piece: dict[str, Any]) -> bool:
        """Decide by the truth; True when the piece may be fed in again."""
        piece_id = piece["piece_id"]
        outcome = "clear" if self.truth[piece_id] == "benign" else "reject"
        body = {"outcome": outcome, "scan_sha256": piece["scan"]["sha256"], "note": "demo"}
        for person in REVIEWERS:
            if await self._try(f"/api/v1/reviews/{piece_id}/claim", None, person) is None:
                return False
            decided = await self._try(f"/api/v1/reviews/{piece_id}/decision", body, person)
            if decided is None:
                # Whoever has cleared it in an earlier round, which broke off, leaves it to the other.
                await self._try(f"/api/v1/reviews/{piece_id}/release", None, person)
            elif not decided["awaiting_second_person"]:
                self.states[piece_id] = "cleared" if outcome == "clear" else "rejected"
                return outcome == "clear"
        return False

    async def _try(self, path: str, body: dict[str, Any] | None, person: str) -> dict[str, Any] | None:
        """The answer; None where the station refused."""
        try:
            return await self.client.post(path, body, person=person)
        except Refused as refused:
            log.info("refused", path=path, why=str(refused))
            return None

    async def work(self) -> None:
        """Round after round, until cancelled. With somebody at the console mail keeps coming."""
        while True:
            try:
                await self.round()
                if not self.decide and (await self.control.do("state"))["queue"] == 0:
                    await self.take_in(MAIL_BATCH)
            except (Refused, DemoError, httpx.TransportError) as error:
                # A person who is refused, or gets no answer in time, looks again.
                log.warning("a round of the people failed", lane=self.lane_id, error=repr(error))
            await asyncio.sleep(ROUND_S)


async def observe_clearances(receiver: Questions, people: list[LanePeople]) -> None:
    """Tell the simulated world which clearances the outside observer saw at the tracking receiver. Until cancelled.

    A clearance counts for the piece's newest stay under the beam. The station's visits are no help: a piece that was on the belt
    when its lane stopped may never have been identified there, so the world counts one more.
    """
    after = 0
    while True:
        try:
            effects = await receiver.effects(after=after)
        except ReceiverUnreachableError as error:
            log.warning("the tracking receiver does not answer", error=repr(error))
            effects = []
        for effect in effects:
            after = effect["number"]
            if effect["type"] != CLEARED_TYPE:
                continue
            for one in people:
                if effect["subject"] in one.truth:
                    # Without the visit: the world counts every feeding, the station only those that it could identify.
                    await one.control.do("cleared", piece_id=effect["subject"])
        await asyncio.sleep(ROUND_S if not effects else 0.0)
